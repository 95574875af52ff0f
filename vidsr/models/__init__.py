"""Networks, checkpoints of every layout, and the zoo of known weights."""

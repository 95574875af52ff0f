"""Steps that act after the network."""

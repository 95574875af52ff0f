"""``vidsr doctor``: what this machine has, what of it works when tried, and what a job will use."""

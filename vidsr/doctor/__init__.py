"""``vidsr doctor``: what this machine has, what was tried and works, and what a job will use."""

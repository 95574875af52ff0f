"""The networks: one file each, with its descriptor; known_architectures.py lists them."""

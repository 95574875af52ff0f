"""Filters before the network for bands of coarse quantising, and their measure."""

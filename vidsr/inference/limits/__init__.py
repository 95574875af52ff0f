"""Limits to what a network may add to a picture."""

"""Clips for training on video: chosen, cut, stored, loaded, reported."""

"""Detectors: what a clip is and what is wrong with it."""

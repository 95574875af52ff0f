"""Measures that need no original: NIQE, banding, blocks, sharpness, flicker, and agreement with the source."""

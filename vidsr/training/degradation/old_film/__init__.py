"""Faults of old film on whole clips, each with its truth: what was harmed, and by how much."""

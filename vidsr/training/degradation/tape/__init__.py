"""Analogue tape and composite video: faults of single patches for training, and of whole clips with their truth."""

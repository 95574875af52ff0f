"""Filters ahead of the network for faults of film: the gate's unsteadiness and scratches."""

"""Choosing a model for a source: by looking at it, and by the time that is left."""

"""Restoration filters, each one a small described object."""

"""Verification of a result against its source."""

"""Measuring videos against a reference."""

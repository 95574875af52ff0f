"""Tests of vidsr.filters.undo."""

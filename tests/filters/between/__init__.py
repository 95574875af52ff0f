"""Tests of vidsr.filters.between."""

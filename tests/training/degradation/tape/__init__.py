"""Tests of the degradations."""

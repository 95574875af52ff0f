"""Tests of the choice of a model."""

"""Tests of single filters ahead of the network."""

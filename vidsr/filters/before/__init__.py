"""Filters that act ahead of the network."""

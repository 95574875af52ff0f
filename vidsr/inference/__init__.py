"""Planes in, planes out: colour, the fast network, tiles, memory, precision."""

"""Restoration of video tape, ahead of the network."""

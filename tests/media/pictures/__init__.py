"""Tests of vidsr.media.pictures."""

"""Tests of the filters for video tape."""

"""Frames in between: which frames a result of another rate has, and how those are made that the source lacks."""

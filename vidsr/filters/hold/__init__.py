"""Faces and small text: found in the source, followed from frame to frame, and held to what the source supports."""

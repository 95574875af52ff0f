"""A job tried on a few frames: previews and estimates."""

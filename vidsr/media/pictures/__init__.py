"""Still picture files: reading, writing, metadata."""

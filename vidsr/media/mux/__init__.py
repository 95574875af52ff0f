"""From segments and copied streams to the final file."""

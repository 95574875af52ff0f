"""Commands that show options: where values come from, presets."""

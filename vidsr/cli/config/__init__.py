"""The commands about options: where values come from, presets."""

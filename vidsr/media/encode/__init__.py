"""From planes to encoded segments."""

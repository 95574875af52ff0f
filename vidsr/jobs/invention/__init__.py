"""How much a network may invent: results held to what their source supports."""

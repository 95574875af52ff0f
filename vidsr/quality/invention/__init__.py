"""How far a result is supported by its source: an error expected at every pixel, without the original."""

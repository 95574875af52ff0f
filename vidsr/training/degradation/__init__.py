"""Making low-resolution, damaged pictures from good ones."""

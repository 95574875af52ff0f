"""Who makes the segments: this process, local processes, a Ray cluster."""

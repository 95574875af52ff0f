"""What a job keeps on disk: manifest, lock, segments, events, the list of all jobs."""

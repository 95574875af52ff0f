"""Many sources as one piece of work: found, named, enhanced file by file, recorded, reported."""

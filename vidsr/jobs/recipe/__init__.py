"""Every decision about a source before its first frame, and how frames are made by it in each process."""

"""Jobs: the plan of segments, the manifest, the runner that resumes, the workers."""

"""What ``import vidsr`` offers beyond the job itself: analysis, video as arrays, streams of frames, job handles."""

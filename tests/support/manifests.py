"""A made-up manifest of a job."""

from __future__ import annotations

import dataclasses

from vidsr.jobs.state.manifest import Binding, Finished, Manifest, SourceIdentity


def binding(**changes: object) -> Binding:
    """What a made-up job is bound to, with changes."""
    whole = Binding(
        source=SourceIdentity(name="clip.mp4", size=1000, mtime_ns=10**18, sample="ab"),
        options={"encode.crf": 18.0, "model.tile": None},
        model="net",
        model_sha256="0" * 64,
        encoder="libx264 165",
        vidsr="1.0",
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def manifest(frames: int = 100, segment_frames: int = 30, finished: dict[int, Finished] | None = None) -> Manifest:
    """A manifest of so many frames."""
    return Manifest(
        job="abc123",
        source="/in/clip.mp4",
        output="/out/clip.x4.mkv",
        options={},
        binding=binding(),
        frames=frames,
        segment_frames=segment_frames,
        encoder_threads=2,
        created=1.5,
        finished=finished or {},
    )

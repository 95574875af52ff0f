"""What a whole job will take: time, size and memory, from samples of it that were really done."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidsr.jobs.plan import plan_segments
from vidsr.jobs.progress import Event, Progress, silent
from vidsr.jobs.restoring import expected_frames, reshaping_notes
from vidsr.jobs.trial import Sample, Trial
from vidsr.media.encode import KEYINT
from vidsr.media.index import index_video
from vidsr.media.moments import other_bytes
from vidsr.options import EnhanceOptions, SamplingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimate for one job. Sizes in bytes, times in seconds of the clock on the wall.

    ``disk_bytes`` is the most the job needs besides the source while it runs: segments and joined file side by side.
    ``memory_bytes`` was the peak of this process while sampling; ``gpu_bytes`` that of the device, 0 on a CPU.
    """

    source_size: tuple[int, int]
    size: tuple[int, int]
    frames: int
    sampled_frames: int
    frames_per_second: float
    seconds: float
    result_bytes: int
    disk_bytes: int
    memory_bytes: int
    gpu_bytes: int
    device: str
    precision: str
    codec: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def estimate(
    source: Path,
    options: EnhanceOptions,
    sampling: SamplingOptions | None = None,
    *,
    progress: Progress = silent,
) -> Estimate:
    """Sample a job and scale up.

    Args:
        source: the video.
        options: of the job.
        sampling: how much to sample.
        progress: hears of samples as frames.

    Raises:
        VidsrError: whatever would stop the job itself.
    """
    sampling = sampling or SamplingOptions()
    trial = Trial(source, options)
    begin = time.perf_counter()
    progress(Event(kind="stage", text="index"))
    index = index_video(trial.info)
    index_seconds = time.perf_counter() - begin
    trial.sample(index, 0, 1)  # the first frame pays for allocations and caches
    done: list[Sample] = []
    ranges = sample_ranges(len(index), sampling.samples, sampling.sample_frames)
    began = time.perf_counter()
    for start, stop in ranges:
        done.append(trial.sample(index, start, stop))
        counted = sum(s.stats.frames for s in done)
        progress(Event(kind="frame", frames=counted, total_frames=sum(b - a for a, b in ranges)))
        if time.perf_counter() - began > sampling.budget_seconds:
            break
    counted = sum(s.stats.frames for s in done)
    per_frame = _seconds_per_frame(done, str(trial.upscaler.device))
    check = sum(s.decode_back_seconds for s in done) / counted
    frames = expected_frames(trial.info, index, trial.planned)
    video = _video_bytes(done, frames, options.jobs.segment_frames)
    result = video + (other_bytes(trial.info) if options.streams.audio else 0)
    return Estimate(
        source_size=(trial.info.video.width, trial.info.video.height),
        size=trial.size,
        frames=frames,
        sampled_frames=counted,
        frames_per_second=1 / per_frame,
        seconds=trial.setup_seconds + index_seconds + frames * (per_frame + check),
        result_bytes=result,
        disk_bytes=video + result,
        memory_bytes=peak_memory_bytes(),
        gpu_bytes=_gpu_bytes(trial),
        device=str(trial.upscaler.device),
        precision=trial.upscaler.precision,
        codec=trial.settings.codec,
        notes=(*reshaping_notes(trial.info, (len(index), frames), trial.planned), *trial.notes, *index.notes),
    )


def sample_ranges(total: int, samples: int, frames: int) -> list[tuple[int, int]]:
    """Half-open frame ranges to sample: evenly spread, the whole video where the samples would cover it."""
    if total <= samples * frames:
        return [(segment.start, segment.stop) for segment in plan_segments(total, max(frames, 2))]
    gap = total / samples
    starts = [round(gap * (i + 0.5) - frames / 2) for i in range(samples)]
    return [(s, s + frames) for s in starts]


def _seconds_per_frame(done: list[Sample], device: str) -> float:
    """On a CPU the stages share its cores, so that their sum counts, as the clock showed it; beside a GPU the
    slowest stage decides once the pipeline is full."""
    counted = sum(s.stats.frames for s in done)
    if device == "cpu":
        return sum(s.stats.wall_seconds for s in done) / counted
    stages: tuple[Callable[[Sample], float], ...] = (
        lambda s: s.stats.decode_seconds,
        lambda s: s.stats.infer_seconds,
        lambda s: s.stats.encode_seconds,
    )
    return max(sum(map(stage, done)) for stage in stages) / counted


def _video_bytes(done: list[Sample], frames: int, segment_frames: int) -> int:
    """Bytes of the whole video: keyframes and others counted apart, since a short sample has too many keyframes."""
    keys = [size for s in done for size in s.packets.keys]
    others = [size for s in done for size in s.packets.others]
    if not others:
        return round(frames * sum(keys) / len(keys))
    planned = sum(-(-segment.frames // KEYINT) for segment in plan_segments(frames, segment_frames))
    sampled = len(keys) + len(others)
    cuts = (len(keys) - len(done)) / max(1, sampled - len(done))
    count = min(frames, planned + round(cuts * (frames - planned)))
    return round(count * sum(keys) / len(keys) + (frames - count) * sum(others) / len(others))


def peak_memory_bytes() -> int:
    """The most memory this process has had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _gpu_bytes(trial: Trial) -> int:
    if trial.upscaler.device.type != "cuda":
        return 0
    import torch

    return int(torch.cuda.max_memory_allocated(trial.upscaler.device))

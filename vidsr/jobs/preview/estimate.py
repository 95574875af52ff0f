"""Time, size and memory of a whole job, scaled up from samples that were actually enhanced."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidsr.jobs.choosing.settle import Settled, settle
from vidsr.jobs.neighbour_runs import joined_runs, neighbour_notes
from vidsr.jobs.preview.sample import Sample, Sampler
from vidsr.jobs.preview.timing import Timing, job_recipe
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.restoration_plan import left_out_neighbours, order_note, reshaping_notes
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.jobs.state.segments import Segment, plan_segments
from vidsr.media.samples import other_bytes
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions

#: Frames before timing starts: more than any batch on a CPU.
_WARM_FRAMES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimate for one job. Sizes in bytes, wall-clock times in seconds.

    ``made_frames`` of the ``frames`` are made in between others, for ``--rate`` or refill.

    ``frames_per_second`` is the speed of the work itself; ``seconds`` includes start and end.

    ``codec`` is the codec of the result, or the format of numbered pictures, such as "png".
    ``video_bytes`` of the ``result_bytes`` are its video, the others its copied streams.
    ``disk_bytes`` is the peak of disk use while the job runs: its segments and the joined file together, those of a
    preservation master too, whose size is ``master_bytes``; 0 without one.
    ``memory_bytes`` is the peak of this process while it sampled; ``gpu_bytes`` that of the device, 0 on a CPU.
    """

    source_size: tuple[int, int]
    size: tuple[int, int]
    frames: int
    sampled_frames: int
    frames_per_second: float
    seconds: float
    result_bytes: int
    video_bytes: int
    disk_bytes: int
    memory_bytes: int
    gpu_bytes: int
    device: str
    precision: str
    codec: str
    notes: tuple[str, ...]
    made_frames: int = 0
    master_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def estimate(
    source: Path,
    options: EnhanceOptions,
    sampling: SamplingOptions | None = None,
    *,
    progress: Progress = silent,
    start_seconds: float = 0.0,
    output: Path | None = None,
    recipe: Recipe | None = None,
) -> Estimate:
    """Sample a job and scale up.

    Args:
        source: the video, or a pattern of numbered pictures.
        options: of the job.
        sampling: how much to sample.
        progress: receives the samples' frames as ``frame`` events.
        start_seconds: seconds that starting the program took, which every job pays too.
        output: the result of the job, whose suffix decides about its codec; a pattern for numbered pictures. None: as
            for :func:`vidsr.enhance`.
        recipe: of the job, where it was made already; ``output`` does not matter then.

    Raises:
        VidsrError: whatever would stop the job itself.
    """
    sampling = sampling or SamplingOptions()
    settled = settle(source, output, options, "video", progress=progress) if recipe is None else Settled(options)
    options = settled.options
    sampler = Sampler(source, options, recipe or job_recipe(source, output, options))
    begin = time.perf_counter()
    job, decoded = sampler.job, sampler.recipe.decoded
    advice = job.advice()
    progress(Event(kind="stage", text="index"))
    index = sampler.index
    fixed = start_seconds + sampler.setup_seconds + time.perf_counter() - begin
    part = sampler.part
    # Pays for allocations, caches and choices.
    warm = sampler.sample(part[0], part[: min(_WARM_FRAMES, len(part))].stop)
    sampler.upscaler.stats.neighbours.runs.clear()
    done = _sampled(sampler, sampling, progress)
    neighbours = neighbour_notes(job.options, joined_runs(sampler.upscaler.stats.neighbours.runs), "sampled frames")
    progress(Event(kind="stage", text="size"))
    timing = Timing.of(sampler, warm, done, fixed_seconds=fixed)
    frames, made = timing.frames, timing.made
    changes = reshaping_notes(job.stored, (len(part), frames), job.options, made)
    if sampler.span is not None:
        changes = (f"{options.span}: {sampler.span}", *changes)
    memory_bytes = _peak_bytes()
    order = order_note(job.options)
    reason = left_out_neighbours(job.asked, job.stored)
    if reason:
        neighbours = (f"--multiframe auto: left out, {reason}",)
    text = (f"--text auto: left out, {sampler.recipe.no_text}",) if sampler.recipe.no_text else ()
    notes = (*settled.notes, *order, *changes, *advice, *neighbours, *text, *sampler.recipe.notes, *index.notes)
    video = round(frames * bytes_per_frame(sampler, done, options.jobs.segment_frames))
    others = options.streams.audio and job.picture is None
    copied = other_bytes(decoded, sampler.span) if others else 0
    of_master = round(frames * master_bytes_per_frame(done))
    result, master = video + copied, of_master + copied if of_master else 0
    return Estimate(
        source_size=(decoded.video.width, decoded.video.height),
        size=sampler.recipe.size,
        frames=frames,
        sampled_frames=sum(s.stats.frames for s in done),
        frames_per_second=1 / timing.compute_seconds,
        seconds=timing.seconds,
        result_bytes=result,
        video_bytes=video,
        disk_bytes=video + result + of_master + master,
        memory_bytes=memory_bytes,
        gpu_bytes=_gpu_bytes(sampler),
        device=str(sampler.upscaler.device),
        precision=sampler.upscaler.precision,
        codec=job.settings.codec if job.picture is None else job.picture.suffix.lstrip("."),
        made_frames=made,
        master_bytes=master,
        notes=tuple(dict.fromkeys(notes)),
    )


def _sampled(sampler: Sampler, sampling: SamplingOptions, progress: Progress) -> list[Sample]:
    """Samples from all over the video, until the budget is spent."""
    done: list[Sample] = []
    ranges = sample_ranges(sampler.part, sampling.samples, sampling.sample_frames, sampler.window)
    began = time.perf_counter()
    for start, stop in ranges:
        done.append(sampler.sample(start, stop))
        counted = sum(s.stats.frames for s in done)
        progress(Event(kind="frame", frames=counted, total_frames=sum(b - a for a, b in ranges)))
        if time.perf_counter() - began > sampling.budget_seconds:
            break
    return done


def sample_ranges(part: range, samples: int, frames: int, window: int = 0) -> list[tuple[int, int]]:
    """Half-open ranges to sample of the frames ``part``: evenly spread, or all of it where the samples would cover it.

    Where frames are seen in windows of ``window`` frames, ranges are whole windows, so that the work on each is that of
    a job; there are as many as the ``samples`` of ``frames`` hold, and at least one.
    """
    if window:
        samples, frames = max(1, samples * frames // window), window
    total = len(part)
    if total <= samples * frames:
        planned = plan_segments(total, total if window else max(frames, 2), first=part[0])
        return [(segment.start, segment.stop) for segment in planned]
    gap = total / samples
    starts = [part[0] + round(gap * (i + 0.5) - frames / 2) for i in range(samples)]
    if window:
        starts = [min(-(-s // window) * window, (part.stop - window) // window * window) for s in starts]
        starts = [s for s in dict.fromkeys(starts) if s >= part[0]] or [part[0]]
    return [(s, s + frames) for s in starts]


def _peak_bytes() -> int:
    from vidsr.system_memory import peak_bytes

    return peak_bytes()


def _gpu_bytes(sampler: Sampler) -> int:
    if sampler.upscaler.device.type != "cuda":
        return 0
    import torch

    return int(torch.cuda.max_memory_allocated(sampler.upscaler.device))


#: Interpolated segments may take as long as the samples did, and at least this long.
_LEAST_SECONDS = 10.0
#: Successive multiples of the golden ratio, taken modulo 1, are spread evenly wherever one stops.
_GOLDEN = 0.6180339887


def bytes_per_frame(sampler: Sampler, done: Sequence[Sample], segment_frames: int) -> float:
    """Bytes of a frame of the encoded video, on average over the whole of it."""
    began = time.perf_counter()
    spent = sum(sample.stats.wall_seconds for sample in done)
    deadline = began + max(_LEAST_SECONDS, spent)
    sampled_interpolated = sum(sampler.interpolated(sample.segment).total for sample in done)
    interpolated, frames = 0, 0
    for segment in spread(plan_segments(len(sampler.part), segment_frames, first=sampler.part[0])):
        packets = sampler.interpolated(segment, deadline)
        interpolated, frames = interpolated + packets.total, frames + packets.count
        if time.perf_counter() > deadline:
            break
    ratio = sum(sample.packets.total for sample in done) / sampled_interpolated
    return ratio * interpolated / frames


def master_bytes_per_frame(done: Sequence[Sample]) -> float:
    """Bytes of a frame of the preservation master; 0 without one. Its codec predicts nothing from other frames."""
    return sum(sample.master_bytes for sample in done) / sum(sample.segment.frames for sample in done)


def spread(segments: Sequence[Segment]) -> Iterator[Segment]:
    """The segments in an order whose beginnings are spread over the whole video."""
    return iter(sorted(segments, key=lambda segment: segment.number * _GOLDEN % 1))

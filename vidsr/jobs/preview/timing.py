"""What samples of a job say about the time of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidsr.jobs.choosing.neighbour_memory import with_memory_checked
from vidsr.jobs.engines.engine import choose_slots
from vidsr.jobs.preview.sample import Sample, Sampler
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.restoration_plan import expected_frames, expected_made
from vidsr.jobs.state.segments import Segment, plan_segments
from vidsr.media import image_sequence
from vidsr.options.enhance_options import EnhanceOptions


def job_recipe(source: Path, output: Path | None, options: EnhanceOptions, *, resolved: bool = False) -> Recipe:
    """The recipe of the job with this result; ``resolved`` as for :meth:`Recipe.of`.

    Raises:
        VidsrError: whatever would stop the job before its first frame.
    """
    if image_sequence.is_pattern(output or source):
        recipe = Recipe.of(source, options, pictures=(output or source).suffix.lower(), resolved=resolved)
    else:
        container = "" if output is None else output.suffix.lower()
        recipe = Recipe.of(source, options, container=container, resolved=resolved)
    return recipe if resolved else with_memory_checked(recipe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a whole job takes, scaled up from samples; wall-clock seconds.

    ``frames`` are those of the result, of which ``made`` are made in between others, and ``computed`` go through the
    network, each in ``compute_seconds``. Each frame of the result is checked in ``check_seconds``. ``fixed_seconds``
    are those of the start and the end.
    """

    frames: int
    made: int
    computed: int
    compute_seconds: float
    check_seconds: float
    fixed_seconds: float
    between_seconds: float

    @property
    def seconds(self) -> float:
        """Seconds of the whole job."""
        work = self.computed * self.compute_seconds + self.frames * self.check_seconds
        return self.fixed_seconds + work + self.made * self.between_seconds

    @staticmethod
    def of(sampler: Sampler, warm: Sample, done: Sequence[Sample], *, fixed_seconds: float) -> Timing:
        """The timing of a job of which ``done`` were sampled after ``warm``, which paid for allocations and choices."""
        job, part = sampler.job, sampler.part
        options = job.options
        frames = expected_frames(job.decoded, sampler.index, options, part)
        made = expected_made(job.decoded, sampler.index, options, sampler.span, frames)
        # Filters that change the number of frames move their numbers; what lies before the part is warm-up anyway.
        segments = plan_segments(frames, options.jobs.segment_frames, first=part[0])
        rates = _Rates.of(done, sampler, options, _surplus_seconds(done, sampler, segments))
        return Timing(
            frames=frames,
            made=made,
            computed=sum(map(sampler.computed, segments)),
            compute_seconds=rates.compute_seconds,
            check_seconds=rates.check_seconds,
            fixed_seconds=fixed_seconds + _excess(warm, done, rates),
            between_seconds=sampler.between_seconds() if made else 0.0,
        )


def _surplus_seconds(done: Sequence[Sample], sampler: Sampler, segments: Sequence[Segment]) -> float:
    """What the samples spent on neighbouring frames beyond what the job will spend on as many: short stretches begin
    new chains of features more often."""
    ahead = sum(s.ahead_seconds for s in done)
    sampled = sum(sampler.steps(s.segment) for s in done) / sum(s.computed for s in done)
    whole = sum(map(sampler.steps, segments)) / max(1, sum(map(sampler.computed, segments)))
    return ahead * (1 - whole / sampled) if sampled else 0.0


def _excess(warm: Sample, done: Sequence[Sample], rates: _Rates) -> float:
    """What ``warm`` took beyond the work on its frames. These few need whole windows of ``--multiframe``, whose time is
    left out on both sides."""
    computed = sum(s.computed for s in done)
    alone = sum(s.stats.wall_seconds - s.seek_seconds - s.ahead_seconds for s in done) / computed
    each = alone if any(s.ahead_seconds for s in done) else rates.compute_seconds
    return max(0.0, warm.stats.wall_seconds - warm.ahead_seconds - warm.computed * each)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rates:
    """Seconds for each frame that goes through the network, and for each frame of the result that is checked."""

    compute_seconds: float
    check_seconds: float

    @staticmethod
    def of(done: Sequence[Sample], sampler: Sampler, options: EnhanceOptions, surplus_seconds: float) -> _Rates:
        """Without ``surplus_seconds`` of the network's time. On a CPU the stages share its cores, so that their sum
        counts, as the clock showed it; with a GPU the slowest stage decides once the pipeline is full, and several GPUs
        share the frames out."""
        computed = sum(s.computed for s in done)
        check = sum(s.decode_back_seconds for s in done) / sum(s.stats.frames for s in done)
        if sampler.upscaler.device.type == "cpu":
            return _Rates(
                compute_seconds=(sum(s.stats.wall_seconds - s.seek_seconds for s in done) - surplus_seconds) / computed,
                check_seconds=check if options.output.verify else 0.0,
            )
        stages: tuple[Callable[[Sample], float], ...] = (
            lambda s: s.stats.decode_seconds - s.seek_seconds,
            lambda s: s.stats.infer_seconds - surplus_seconds / len(done),
            lambda s: s.stats.encode_seconds,
        )
        slowest = max(sum(map(stage, done)) for stage in stages) / computed
        return _Rates(
            compute_seconds=slowest / _devices(sampler, options), check_seconds=check if options.output.verify else 0.0
        )


def _devices(sampler: Sampler, options: EnhanceOptions) -> int:
    """How many GPUs will share the frames out."""
    if sampler.upscaler.device.type != "cuda":
        return 1
    import torch

    return len({slot.device for slot in choose_slots(options, torch.cuda.device_count())})

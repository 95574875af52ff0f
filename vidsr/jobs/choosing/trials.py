"""Short trials of several models on one video: what the whole job would take with each, measured here and now."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.invention.limit import limit_of
from vidsr.jobs.preview.sample import Sample, Sampler
from vidsr.jobs.preview.timing import Timing, job_recipe
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.restoration_plan import left_out_neighbours
from vidsr.media.index import VideoIndex
from vidsr.options.enhance_options import EnhanceOptions

#: Frames before timing starts, then frames at least and at most.
_WARM_FRAMES, _FEWEST_FRAMES, _MOST_FRAMES = 2, 4, 24
#: The side of the square, in source pixels, with which a network alone is timed.
_PATCH_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrial:
    """What a whole job would take with ``options``, in wall-clock seconds from now on.

    ``sample_bytes`` are those of the sampled frames as encoded; all trials of a source sample the same.
    """

    options: EnhanceOptions
    timing: Timing
    sample_bytes: int
    sampled_frames: int

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the whole job."""
        return self.timing.seconds


class Trials:
    """Trials on one video, which is indexed once. ``recipe`` is that of its job with the first options to be tried.

    Raises:
        VidsrError: whatever would stop the job before its first frame.
    """

    def __init__(self, source: Path, output: Path | None, recipe: Recipe) -> None:
        self._source, self._output, self.recipe = source, output, recipe
        self._indexing = 0.0
        self._index: VideoIndex | None = None

    @property
    def index(self) -> VideoIndex:
        """The frames of the source as decoded."""
        if self._index is None:
            begin = time.perf_counter()
            self._index = self.recipe.index()
            self._indexing = time.perf_counter() - begin
        return self._index

    def least_seconds(self, options: EnhanceOptions) -> float:
        """What the network alone takes for all frames, on a CPU, from a small patch; 0 on a GPU, where a patch says
        nothing."""
        import torch

        video, span = self.recipe.decoded.video, self.recipe.span(self.index)
        frames = len(self.index) if span is None else len(range(span.first, span.stop))
        height, width = min(_PATCH_PX, video.height), min(_PATCH_PX, video.width)
        with closing(Upscaler(options.model, limit=limit_of(options.restore))) as upscaler:
            if upscaler.device.type != "cpu":
                return 0.0
            patch = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
            best = float("inf")
            with torch.inference_mode():
                for _ in range(3):
                    begin = time.perf_counter()
                    upscaler.fitted(patch)
                    best = min(best, time.perf_counter() - begin)
        return best * frames * video.width * video.height / (height * width)

    def time(self, options: EnhanceOptions, patience_seconds: float) -> ModelTrial:
        """Enhance a few frames from the middle: as many as take about ``patience_seconds``, and at least four.

        With neighbouring frames it is one whole window, whose cost is that of all others.
        """
        own, first = options.restore, self.recipe
        left_out = first.no_memory or left_out_neighbours(options, first.stored)
        multiframe = 0.0 if left_out else own.multiframe
        restore = replace(
            first.options.restore, multiframe=multiframe, fidelity=own.fidelity, colour_lock=own.colour_lock
        )
        resolved = replace(options, restore=restore)
        recipe = job_recipe(self._source, self._output, resolved, resolved=True)
        with closing(Sampler(self._source, resolved, recipe, self.index)) as sampler:
            fixed = sampler.setup_seconds + self._indexing
            part = sampler.part
            warm = sampler.sample(part[0], part[: min(_WARM_FRAMES, len(part))].stop)
            each = warm.stats.wall_seconds / max(1, warm.computed)
            done = self._sample(sampler, patience_seconds / max(each, 1e-6))
            timing = Timing.of(sampler, warm, [done], fixed_seconds=fixed)
        return ModelTrial(
            options=options, timing=timing, sample_bytes=done.packets.total, sampled_frames=done.segment.frames
        )

    def _sample(self, sampler: Sampler, frames: float) -> Sample:
        part, window = sampler.part, sampler.window
        if window:
            first = max(part[0], part[len(part) // 2] // window * window)
            return sampler.sample(first, min(part.stop, first + window))
        count = min(len(part), max(_FEWEST_FRAMES, min(_MOST_FRAMES, int(frames))))
        first = part[0] + (len(part) - count) // 2
        return sampler.sample(first, first + count)

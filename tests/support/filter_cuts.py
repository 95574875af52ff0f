"""The frames that filters make of a clip, in one piece and cut, by the job's own recipe; without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.recipe_run import RecipeRun
from vidsr.jobs.state.segments import Segment
from vidsr.options.enhance_options import EnhanceOptions

#: The bytes of the planes of each frame, and its time.
Pictures = list[tuple[bytes, ...]]


@dataclass(frozen=True)
class FilteredClip:
    """A clip after its filters: ``count`` frames."""

    run: RecipeRun
    count: int

    @classmethod
    def of(cls, source: Path, model: Path, **options: Any) -> FilteredClip:
        """Decide everything about the clip, as a job does before its first frame."""
        flat = {"model": str(model), "scale": 1, "codec": "ffv1", "multiframe": "off", **options}
        recipe = Recipe.of(source, EnhanceOptions.from_flat(flat))
        index = recipe.index()
        timeline = recipe.timeline(index)
        planned = recipe.frames(index, timeline, None)
        run = RecipeRun(recipe, index=index, timeline=timeline, table=planned.table, in_order=True)
        return cls(run, len(planned.index))

    def pictures(self, first: int = 0, stop: int | None = None) -> Pictures:
        """The frames ``first`` to ``stop`` (not included) as a segment of a job gets them."""
        segment = Segment(number=0, start=first, stop=self.count if stop is None else stop)
        return [
            (*(plane.tobytes() for plane in frame.planes), repr(frame.pts).encode())
            for frame in self.run.frames(segment)
        ]

    def unlike(self, cuts: Sequence[int]) -> list[int]:
        """The numbers of the frames that another result has where the clip is cut at ``cuts``."""
        whole = self.pictures()
        assert len(whole) == self.count
        edges = [0, *cuts, self.count]
        made: Pictures = []
        for first, stop in pairwise(edges):
            made += self.pictures(first, stop)
        assert len(made) == self.count
        return [n for n, (one, other) in enumerate(zip(whole, made, strict=True)) if one != other]

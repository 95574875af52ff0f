"""What a job would take with each of the shipped models: the table of ``vidsr plan``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidsr.jobs.choosing.candidates import with_model
from vidsr.jobs.choosing.settle import settle
from vidsr.jobs.choosing.trials import ModelTrial, Trials
from vidsr.jobs.preview.estimate import Estimate
from vidsr.jobs.preview.timing import job_recipe
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.models.zoo import ZOO
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import human_bytes, human_seconds

#: Models are tried on at most this many frames; the estimate itself samples more.
_MOST_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEstimate:
    """What one model would take for a whole job: wall-clock seconds, and bytes of the result.

    ``advice`` says what the model is suited to.
    """

    model: str
    seconds: float
    result_bytes: int
    advice: str

    @property
    def line(self) -> str:
        """The model with its time and size, for people."""
        return f"{self.model}: about {human_seconds(self.seconds)}, {human_bytes(self.result_bytes)}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def shipped_models() -> list[str]:
    """The models in the table: those that are shipped and enlarge, without twins that only serve to be blended."""
    twins = {entry.grainy for entry in ZOO.values()}
    return [e.name for e in ZOO.values() if e.shipped and e.use == "enlarge" and e.name not in twins]


def plan_models(
    source: Path,
    output: Path | None,
    options: EnhanceOptions,
    estimate: Estimate,
    sampling: SamplingOptions | None = None,
    *,
    progress: Progress = silent,
) -> tuple[ModelEstimate, ...]:
    """Try every shipped model on a few frames in the middle of a video, with otherwise the same options.

    Args:
        source, output: as for :func:`vidsr.plan`.
        options: of the job that was estimated.
        estimate: of that job, whose size is scaled by the size of the sampled frames.
        sampling: its budget is shared out among the models.
        progress: receives a ``frame`` event for each model.

    Raises:
        VidsrError: whatever would stop the job itself.
    """
    named = settle(source, output, options, "video").options
    trials = Trials(source, output, job_recipe(source, output, named))
    names = list(dict.fromkeys((named.model.model, *shipped_models())))
    budget = (sampling or SamplingOptions()).budget_seconds / len(names)
    done: dict[str, ModelTrial] = {}
    for number, name in enumerate(names, 1):
        done[name] = trials.time(with_model(named, name), min(_MOST_SECONDS, budget))
        progress(Event(kind="frame", frames=number, total_frames=len(names)))
    video = estimate.video_bytes
    own = done[named.model.model].sample_bytes
    return tuple(
        ModelEstimate(
            model=name,
            seconds=estimate.seconds if name == named.model.model else trial.seconds,
            result_bytes=round(estimate.result_bytes + video * (trial.sample_bytes / own - 1)),
            advice=ZOO[name].advice if name in ZOO else "",
        )
        for name, trial in done.items()
    )


def table_lines(models: tuple[ModelEstimate, ...]) -> Iterator[str]:
    """The table for people: time, size, name and advice of each model."""
    width = max(len(one.model) for one in models)
    for one in models:
        time_text, size = human_seconds(one.seconds), human_bytes(one.result_bytes)
        yield f"{time_text:>10}  {size:>9}  {one.model:<{width}}  {one.advice}"

"""From ``--model auto`` and ``--within`` to a named model and steps, before anything else is decided about a source."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.errors import JobError, OptionsError
from vidsr.jobs.choosing.candidates import BY_KIND, SourceKind, described, is_open, ladder, with_model
from vidsr.jobs.recipe.restoration_plan import left_out_neighbours
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.media.pictures.files import is_picture
from vidsr.options.enhance_options import AUTO_MODEL, DEFAULT_MODEL, EnhanceOptions
from vidsr.options.span_options import exact, write_time
from vidsr.storage import human_seconds

if TYPE_CHECKING:
    from vidsr.jobs.choosing.trials import Trials
    from vidsr.jobs.job import PreparedJob

#: A choice must fit into this share of the time that is left: trials are short, and machines do other work.
_SAFE = 0.9
#: Share of the time that is left for one trial, and seconds at most.
_TRIAL_SHARE, _TRIAL_SECONDS = 0.02, 60.0
#: A network that takes more than this multiple of the time by itself is not tried; frames that repeat cost nothing.
_HOPELESS = 1.25
#: The kinds of job that are videos.
_VIDEOS = ("video", "numbered")


@dataclass(frozen=True, slots=True)
class Settled:
    """Options with a named model, and a line on each choice that was made for them."""

    options: EnhanceOptions
    notes: tuple[str, ...] = ()


def settle(
    source: Path,
    output: Path | None,
    options: EnhanceOptions,
    what: str,
    *,
    progress: Progress = silent,
    stop: Stop | None = None,
    new_folder: bool = False,
) -> Settled:
    """Name the model and the steps that ``options`` leave to vidsr.

    ``--within`` counts from this call. A job that was interrupted goes on with what was chosen for it.

    Args:
        source: a video, picture, folder of pictures or pattern, as for :func:`vidsr.enhance`.
        output: the result; the folder of an interrupted job lies next to it.
        options: of the job.
        what: the kind of job, as :func:`vidsr.jobs.enhance.kind_of` says.
        progress: receives a stage event for trials.
        stop: ends the trials, between two of them.
        new_folder: the result's folder will be made by the work of which this job is a part.

    Raises:
        OptionsError: ``--within`` for something other than one video, or nothing is fast enough.
        Interrupted: ``stop`` was set.
        VidsrError: whatever would stop the job before its first frame.
    """
    begun = time.perf_counter()
    if options.model.model != AUTO_MODEL and options.model.finish_within is None:
        return Settled(options)
    from vidsr.jobs.choosing.trials import Trials
    from vidsr.jobs.job import prepare

    if options.model.finish_within is not None and what not in _VIDEOS:
        raise OptionsError(f"--within: {source} is not a video; name a model for pictures")
    kind = None
    notes: tuple[str, ...] = ()
    if options.model.model == AUTO_MODEL:
        kind = _kind(source, output, options, what)
        if options.model.finish_within is None:
            notes = (f"--model auto: {kind}, {BY_KIND[kind]}",)
            options = with_model(options, BY_KIND[kind])
    if options.model.finish_within is not None:
        # Whatever stops the job is found before any trial; all models that may be chosen have the same scale.
        first = next(ladder(options, kind or "camera footage", judged=False))
        draft = prepare(source, output, first, dry=True, new_folder=new_folder)
        options, note = _earlier(draft, options) or _fitting(
            Trials(source, output, draft.recipe), options, kind, begun, stop or Stop(), progress
        )
        notes = (note,)
    return Settled(options, notes)


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """Digest and scale of the model that options name, or of all that ``--model auto`` may take."""

    sha256: str
    scale: int


def weights_of(options: EnhanceOptions) -> ModelWeights:
    """What results depend on and how large they are, before a source is looked at.

    Raises:
        ModelError, CheckpointError, OptionsError: as :func:`vidsr.models.zoo.load_chosen`.
    """
    from vidsr.models.zoo import load_chosen

    if options.model.model != AUTO_MODEL:
        model = load_chosen(options.model)
        return ModelWeights(model.sha256, model.scale)
    models = [load_chosen(with_model(options, name).model) for name in sorted(BY_KIND.values())]
    return ModelWeights(hashlib.sha256("".join(m.sha256 for m in models).encode()).hexdigest(), models[0].scale)


def refuse_within(options: EnhanceOptions) -> None:
    """Refuse ``--within`` for several files.

    Raises:
        OptionsError: it was given.
    """
    if options.model.finish_within is not None:
        raise OptionsError("--within takes one video; for several, let vidsr plan show what each model takes")


def _kind(source: Path, output: Path | None, options: EnhanceOptions, what: str) -> SourceKind:
    """What the source shows."""
    from vidsr.jobs.choosing.look import kind_of_pictures, kind_of_video
    from vidsr.jobs.open_source import open_source
    from vidsr.jobs.stills.folder import files_in

    if what in _VIDEOS:
        return kind_of_video(open_source(source, options))
    if what == "folder":
        return kind_of_pictures([file for file in files_in(source, output or source / "x") if is_picture(file)])
    return kind_of_pictures([source])


def _fitting(
    trials: Trials, options: EnhanceOptions, kind: SourceKind | None, begun: float, stop: Stop, progress: Progress
) -> tuple[EnhanceOptions, str]:
    """The best of the ladder that ends in time, which counts from ``begun``, and a line on it."""
    assert options.model.finish_within is not None
    allowed = exact(options.model.finish_within)
    if kind is None and is_open(options):
        from vidsr.jobs.choosing.look import kind_of_video

        kind = kind_of_video(trials.recipe.stored)
    progress(Event(kind="stage", text="trials"))
    slower: list[str] = []
    judged = not left_out_neighbours(with_model(options, DEFAULT_MODEL), trials.recipe.stored)
    for candidate in ladder(options, kind or "camera footage", judged=judged):
        stop.check()
        left = float(allowed) - (time.perf_counter() - begun)
        name = described(candidate, options)
        least = trials.least_seconds(candidate)
        if least > _HOPELESS * left:
            slower.append(f"{name} more than {human_seconds(least)}")
            continue
        found = trials.time(candidate, min(_TRIAL_SECONDS, _TRIAL_SHARE * max(0.0, left)))
        left = float(allowed) - (time.perf_counter() - begun)
        if found.seconds <= _SAFE * left:
            line = f"{_flag(options)}: {name}, about {human_seconds(found.seconds)}"
            return candidate, "; ".join((line, *_last(slower)))
        slower.append(f"{name} about {human_seconds(found.seconds)}")
    raise OptionsError(
        f"{_flag(options)}: too short for {Path(trials.recipe.stored.path).name} on this machine "
        f"({', '.join(slower)}); allow more time, or choose a part with --from and --to"
    )


def _flag(options: EnhanceOptions) -> str:
    """``--within`` as it was given."""
    return f"--within {write_time(options.model.finish_within)}"


def _last(slower: Sequence[str]) -> Iterator[str]:
    """What the next better choice would take."""
    yield from (f"{slower[-1]} would be too long",) if slower else ()


def _earlier(draft: PreparedJob, options: EnhanceOptions) -> tuple[EnhanceOptions, str] | None:
    """The choice that an interrupted job of the same source and time was started with, and a line on it; None if there
    is none."""
    from vidsr.jobs.state.manifest import MANIFEST_NAME, Manifest

    if options.jobs.restart or not (draft.folder / MANIFEST_NAME).is_file():
        return None
    try:
        begun = EnhanceOptions.from_json(Manifest.load(draft.folder).options)
    except (JobError, OptionsError):
        return None  # opening the job reports what is wrong
    if begun.model.finish_within is None or options.model.finish_within is None:
        return None
    if exact(begun.model.finish_within) != exact(options.model.finish_within):
        return None
    chosen = with_model(options, begun.model.model)
    own, was = options.restore, begun.restore
    by_itself = left_out_neighbours(chosen, draft.recipe.stored)
    multiframe = own.multiframe if by_itself or was.multiframe != 0 else 0.0
    restore = replace(own, multiframe=multiframe, fidelity=was.fidelity, colour_lock=was.colour_lock)
    chosen = replace(chosen, restore=restore)
    return chosen, f"{_flag(options)}: {described(chosen, options)}, chosen when the job was started"

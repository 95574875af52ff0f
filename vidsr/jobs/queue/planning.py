"""From what was found to what will be done: recordings joined, names given, finished results recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidsr.errors import InputError, JobError, OptionsError, OutputError
from vidsr.jobs.choosing.settle import refuse_within
from vidsr.jobs.job import bound_options, is_published
from vidsr.jobs.option_command import changes
from vidsr.jobs.queue.records import REFUSALS, Ended, FileState, Ledger, QueuedFile
from vidsr.jobs.queue.sources import Found, Place, find, names, plain_name
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.manifest import MANIFEST_NAME
from vidsr.media import joined
from vidsr.media.libav import continues
from vidsr.media.source_files import stamp
from vidsr.options.enhance_options import EnhanceOptions, default_output

#: A joined source has a path of its own.
_NOT_OPTIONS = ("source.join",)
#: Stored with the options of a key: the beginning of the digest of the weights.
_WEIGHTS = "model.weights"
#: Why a file is not done that is not there any more.
GONE = "it was removed or renamed before its turn"


def check_sources(sources: Sequence[Path], output: Path | None, options: EnhanceOptions) -> None:
    """Refuse a queue that makes no sense.

    Raises:
        InputError: no source is given.
        OptionsError: ``--watch`` without a folder to watch, or ``--within``.
        OutputError: the results would lie among the sources of a folder, or have no place.
    """
    if not sources:
        raise InputError("no source is given")
    refuse_within(options)
    folders = [source for source in sources if source.is_dir()]
    if options.jobs.watch and not folders:
        raise OptionsError("--watch: give a folder into which files arrive")
    if output is None and folders and len(sources) > 1:
        raise OutputError("several sources, one of them a folder: name the folder for the results with --output")
    if output is None:
        return
    if output.is_file():
        raise OutputError(f"{output} is a file; name a folder for the results of several sources with --output")
    for folder in folders:
        if folder.resolve() == output.resolve():
            raise OutputError(f"{output} is the source folder itself: name another folder with --output")


def default_folder(source: Path, options: EnhanceOptions, scale: int) -> Path:
    """The folder for the results of a folder where none is named: ``tapes.x4`` next to ``tapes``."""
    here = source.absolute()
    return default_output(here.with_name(here.name + ".d"), options.size, scale, "")


def result_key(options: EnhanceOptions, model_sha256: str) -> tuple[str, dict[str, Any]]:
    """A digest of all that determines the results, and the options among it."""
    bound = {name: value for name, value in bound_options(options).items() if name not in _NOT_OPTIONS}
    text = json.dumps([bound, model_sha256], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), bound | {_WEIGHTS: model_sha256[:12]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The files of one pass over the sources, and remarks about recordings in several files."""

    found: tuple[Found, ...]
    notes: tuple[str, ...] = ()


def discover(sources: Sequence[Path], output: Path | None, *, join: bool, within: Sequence[Path] = ()) -> Discovery:
    """Find the files; with ``join``, the parts of a recording become one source. ``within`` as for :func:`find`.

    Raises:
        InputError: a source does not exist, or there is no file.
    """
    found = find(sources, output, within)
    by_path = {entry.path: entry for entry in found if not entry.trouble}
    sets = [r for r in joined.recordings(by_path, continues if join else _maybe) if len(r.parts) > 1]
    if not join:
        # Without --join, timestamps are not looked at: only names that cannot mean anything else are mentioned.
        parts = sum(len(recording.parts) for recording in sets)
        if not sets:
            return Discovery(found=tuple(found))
        what = "recording" if len(sets) == 1 else "recordings"
        note = f"{parts} files are parts of {len(sets)} {what} ({sets[0].path.name}): --join makes one result of each"
        return Discovery(found=tuple(found), notes=(note,))
    first = {recording.parts[0]: recording for recording in sets}
    inside = {part for recording in sets for part in recording.parts}
    entries, notes = [], []
    for entry in found:
        if entry.path in first:
            recording = first[entry.path]
            entries.append(replace(entry, path=recording.path, name=entry.name.with_name(recording.name)))
            notes.append(f"{entry.name.with_name(recording.path.name)}: {len(recording.parts)} parts as one source")
        elif entry.path not in inside:
            menu = joined.is_dvd_menu(entry.path) and not entry.trouble
            entries.append(replace(entry, trouble="a menu of a DVD", foreign=True) if menu else entry)
    return Discovery(found=tuple(entries), notes=tuple(notes))


def _maybe(before: Path, after: Path) -> bool:
    """Stands for "unknown": files that only their time would tell to be one are not mentioned."""
    del before, after
    return False


def queued(entry: Found) -> QueuedFile:
    """The queue's entry of a source that was found."""
    file = QueuedFile(name=str(entry.name), source=str(entry.path), kind="picture" if entry.is_picture else "video")
    if entry.trouble:
        return replace(file, state="skipped" if entry.foreign else "refused", trouble=entry.trouble)
    try:
        return replace(file, stamp=stamp(entry.path))
    except OSError:
        return replace(file, state="refused", trouble=GONE)
    except InputError as error:  # of numbered pictures or parts, one is missing
        return replace(file, state="refused", trouble=str(error).removeprefix(f"{entry.path}: "))


def named(files: Sequence[tuple[Found, QueuedFile, str]], place: Place, kept: Mapping[str, str]) -> list[QueuedFile]:
    """The files with their results' paths; one that can have none is refused.

    Args:
        files: each with the suffix of its result.
        place: where results go.
        kept: source → result of those that have a name from an earlier run, here or not.
    """
    results = {Path(source): Path(result) for source, result in kept.items()}
    given = names(
        [(found, suffix) for found, _, suffix in files], place, results, [found.path for found, _, _ in files]
    )
    ready = []
    for found, file, _ in files:
        name = given[found.path]
        if name.refused:
            ready.append(replace(file, state="refused", trouble=name.note))
        else:
            ready.append(replace(file, result=str(name.result), note=name.note))
    return ready


def beside(options: EnhanceOptions, scale: int) -> Place:
    """Results next to their sources, with the size in their names: ``a.x4.mkv``, or ``a.mpg.x4.mkv``."""

    def place(found: Found, suffix: str, longer: bool) -> Path:
        name = plain_name(found, joined.first_of(found.path))
        if longer:
            name = name.with_name(name.name + name.suffix)
        return default_output(name, options.size, scale, suffix)

    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with a file: nothing but record ``ended``; or its work, replacing what has the result's name if
    ``overwrite``, continuing what an earlier run began if ``resume``."""

    ended: Ended | None = None
    overwrite: bool = False
    resume: bool = False


def stamp_of(path: str) -> tuple[int, int] | None:
    """Size and time of change (ns) of a result, None if it is not there."""
    try:
        return stamp(Path(path))
    except (OSError, InputError):
        return None


def decide(file: QueuedFile, ledger: Ledger, key: str, *, overwrite: bool) -> Decision:
    """Whether a file was done by an earlier run, must be done, or is refused. A result that is not known to be ours is
    never replaced without ``overwrite``."""
    now, ended, begun = stamp_of(file.result), ledger.ended.get(file.entry), ledger.begun.get(file.entry)
    if begun is not None and (begun.result, begun.key, begun.stamp) == (file.result, key, file.stamp):
        tidying = (job_folders.job_folder(Path(file.result)) / MANIFEST_NAME).exists()
        if now is None or now == begun.before or tidying:
            return Decision(resume=True, overwrite=begun.before is not None)
        # The result has its name, which a whole one alone gets; the run died before it recorded that.
        return Decision(ended=done(file, key, before=True))
    if now is None:
        return Decision()
    if ended is not None and ended.state == "done" and ended.result == file.result and now == ended.result_stamp:
        if ended.key == key and ended.stamp == file.stamp:
            return Decision(ended=replace(ended, before=True))
        return Decision(overwrite=True)  # ours, and out of date
    if overwrite or is_published(Path(file.result)):
        return Decision(overwrite=overwrite)
    reason = f"{file.result} already exists; use --overwrite to replace it, or choose another --output"
    if ended is not None and ended.result == file.result:
        reason = f"{file.result} was changed since vidsr made it; use --overwrite to make it again"
    return Decision(ended=Ended(source=file.source, state="refused", reason=reason, stamp=file.stamp, part=file.part))


def done(
    file: QueuedFile, key: str, *, frames: int | None = None, seconds: float = 0.0, notes: Sequence[str] = (),
    before: bool = False,
) -> Ended:  # fmt: skip
    """The record of a finished file."""
    return Ended(
        source=file.source,
        state="done",
        result=file.result,
        stamp=file.stamp,
        result_stamp=stamp_of(file.result) or (0, 0),
        key=key,
        frames=file.frames if frames is None else frames,
        seconds=seconds,
        notes=tuple(notes),
        before=before,
        part=file.part,
    )


def not_done(file: QueuedFile, kind: str, message: str) -> Ended:
    """The record of a file that an error of this kind kept from being done."""
    reason = message.removeprefix(f"{file.source}: ").removeprefix(f"{file.result}: ")
    state: FileState = "refused" if kind in REFUSALS else "failed"
    return Ended(source=file.source, part=file.part, state=state, reason=reason, stamp=file.stamp)


def check_options(files: Iterable[QueuedFile], ledger: Ledger, key: str, place: str) -> None:
    """Refuse to mix results of different options.

    Raises:
        JobError: a result of these files was made with other options and is still there.
    """
    results = ledger.results()
    for file in files:
        ended = results.get(file.result)
        if ended is None or ended.source != file.source or ended.key == key:
            continue
        if stamp_of(file.result) == ended.result_stamp:
            found = "; ".join(_changes(ledger.options.get(ended.key, {}), ledger.options[key]))
            raise JobError(
                f"{place} holds results made with other options: {found or 'unknown ones'}. Name another "
                "folder with --output, or use --overwrite to make all of them again"
            )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What differs between the options of two keys, and their weights."""
    yield from changes(*({name: v for name, v in options.items() if name != _WEIGHTS} for options in (old, new)))
    was, is_ = old.get(_WEIGHTS), new.get(_WEIGHTS)
    if was != is_:
        yield f"the weights of the model (was {was}…, is {is_}…)"

"""The sources of a queue: found in folders and lists, and given a name below the output folder."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.errors import InputError
from vidsr.jobs.state import job_folders
from vidsr.media import image_sequence
from vidsr.media.pictures.files import is_picture
from vidsr.media.source import VIDEO_SUFFIXES

#: Files that vidsr itself leaves next to results.
REPORT_STEM = "vidsr-report"
_OUR_ENDINGS = (".part", ".provenance.json", ".invention.json", ".invention.png", ".invention.mkv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One source.

    ``path`` is absolute. ``name`` is its place below the folder that was named, by which reports call it and its result
    is placed; of a file that was named itself, the file name. ``trouble`` says why it will not be opened, "" if it may
    be; with ``foreign`` it is of a kind that vidsr does not read, which is not a failure.
    """

    path: Path
    name: Path
    trouble: str = ""
    foreign: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is a still picture or an animation, by its name."""
        return is_picture(self.path) and not image_sequence.is_pattern(self.path)


def find(sources: Sequence[Path], output: Path | None, within: Sequence[Path] = ()) -> list[Found]:
    """Every file of ``sources`` (files, folders, patterns of numbered pictures), in order, each once.

    Folders are read recursively and sorted; hidden files, half-written ones, job folders and the output folder are left
    out, and links to folders are not followed. The contents of a single folder keep their places below it; of several
    sources, each folder's contents lie in a folder of its name. A folder in one that cannot be read is an entry with
    trouble. Where ``within`` names folders, a link that leads out
    of all of them is not followed.

    Raises:
        InputError: a source does not exist or is a folder that cannot be read, or there is no file at all.
    """
    found: dict[Path, Found] = {}
    for source in sources:
        path = source.absolute()
        if not path.is_dir():
            entry = _named(path)
            found.setdefault(_key(path), entry)
            continue
        place = Path() if len(sources) == 1 else Path(path.name)
        locked: list[OSError] = []
        for file in _walk(path, output, locked):
            entry = _in_folder(file, place / file.relative_to(path))
            if within and not any(file.resolve().is_relative_to(folder) for folder in within):
                entry = replace(entry, trouble="leads out of the served folders")
            found.setdefault(_key(file), entry)
        for error in locked:
            inner = Path(error.filename)
            if inner == path:
                raise InputError(f"{path} cannot be read ({error.strerror})") from error
            trouble = f"this folder cannot be read ({error.strerror})"
            found.setdefault(_key(inner), Found(path=inner, name=place / inner.relative_to(path), trouble=trouble))
    if all(entry.foreign for entry in found.values()):
        raise InputError(f"{', '.join(map(str, sources))}: no video or picture in this folder")
    return list(found.values())


def _key(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _named(path: Path) -> Found:
    """A file that was named by itself: whatever its suffix, it is tried."""
    if not image_sequence.is_pattern(path) and not os.path.lexists(path):
        raise InputError(f"{path} does not exist")
    return Found(path=path, name=Path(path.name), trouble=_trouble(path))


def _in_folder(path: Path, name: Path) -> Found:
    if not (is_picture(path) or path.suffix.lower() in VIDEO_SUFFIXES):
        return Found(path=path, name=name, trouble="neither a video nor a picture, by its name", foreign=True)
    return Found(path=path, name=name, trouble=_trouble(path))


def _trouble(path: Path) -> str:
    """Why a path cannot be opened; "" if it may."""
    if image_sequence.is_pattern(path):
        return ""
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not stat.S_ISREG(status.st_mode):
        return "not a file"  # reading a pipe might wait forever
    return "" if status.st_size else "the file is empty"


def _walk(source: Path, output: Path | None, locked: list[OSError]) -> Iterator[Path]:
    """The files below a folder; folders that cannot be read are added to ``locked``."""
    inside = None if output is None else output.resolve()
    for folder, names, files in os.walk(source, onerror=locked.append):
        here = Path(folder)
        names[:] = sorted(
            n
            for n in names
            if not n.startswith(".") and not n.endswith(job_folders.SUFFIX) and (here / n).resolve() != inside
        )
        yield from (here / f for f in sorted(files) if not _is_ours(f))


def _is_ours(name: str) -> bool:
    return name.startswith((".", f"{REPORT_STEM}.")) or name.endswith(_OUR_ENDINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultName:
    """Where the result of a source goes; ``note`` says why its name is not the plain one. With ``refused`` there is no
    name for it, and ``note`` says why."""

    result: Path
    note: str = ""
    refused: bool = False


#: Where the result of a source lies, given the result's suffix, and whether the source's suffix stays before it.
Place = Callable[[Found, str, bool], Path]


def below(folder: Path) -> Place:
    """Results below ``folder``, named as their sources: ``a.mkv``, or ``a.mpg.mkv``."""

    def place(found: Found, suffix: str, longer: bool) -> Path:
        name = plain_name(found, found.name)
        return folder / name.with_name(name.name + suffix if longer else name.stem + suffix)

    return place


def plain_name(found: Found, name: Path) -> Path:
    """The name by which a result is called; of numbered pictures, their own beginning or their folder's name."""
    if not image_sequence.is_pattern(found.path):
        return name
    stem = image_sequence.name_of(name, 0).stem.rstrip("0123456789 _-.") or found.path.parent.name or "pictures"
    return name.with_name(stem + name.suffix)


def names(
    wanted: Iterable[tuple[Found, str]], place: Place, kept: Mapping[Path, Path], sources: Iterable[Path] = ()
) -> dict[Path, ResultName]:
    """The result of every source, by the source's path; the answer does not depend on the order.

    A result has its source's name with the suffix of the result. Where two results would meet, or a result would have
    the place of a source, all of them keep their source's suffix in front of the new one: ``a.mpg.mkv``, ``a.avi.mkv``.

    Args:
        wanted: the sources, each with the suffix of its result.
        place: where results go.
        kept: source → result of those that have a name from an earlier run; they keep it.
        sources: every source, none of which may be replaced.
    """
    pairs = list(wanted)
    plain = {found.path: place(found, suffix, False) for found, suffix in pairs}
    counts = Counter(path for source, path in plain.items() if source not in kept)
    taken, reserved = set(kept.values()), set(sources)
    result: dict[Path, ResultName] = {}
    for found, suffix in pairs:
        if found.path in kept:
            result[found.path] = ResultName(result=kept[found.path])
            continue
        path = plain[found.path]
        if counts[path] == 1 and path not in taken and path not in reserved:
            result[found.path] = ResultName(result=path)
            continue
        longer = place(found, suffix, True)
        why = "a source of this queue" if path in reserved else "the result of another source"
        note = f"its result is named {longer.name}: {path.name} is {why}"
        result[found.path] = ResultName(result=longer, note=note)
    return _without_doubles(result, taken | reserved)


def _without_doubles(named: dict[Path, ResultName], taken: set[Path]) -> dict[Path, ResultName]:
    """The same, refusing all whose longer names meet each other's, a plain one or one that is taken."""
    counts = Counter(n.result for n in named.values())
    checked = {}
    for source, name in named.items():
        if name.note and (counts[name.result] > 1 or name.result in taken):
            note = (
                f"its result would be {name.result}, which another source has or is; name another folder with "
                "--output, or rename it"
            )
            name = replace(name, note=note, refused=True)  # noqa: PLW2901
        checked[source] = name
    return checked

"""The list of a queue's files, while files come, grow and go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vidsr.errors import OptionsError
from vidsr.jobs.queue import planning
from vidsr.jobs.queue.file_list import FileList
from vidsr.jobs.queue.records import Ledger
from vidsr.options.enhance_options import EnhanceOptions

PAST, FUTURE = 1_000_000_000, 3_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two old files, and one that seems to have changed just now."""
    place = tmp_path / "in"
    place.mkdir()
    for name, time in (("a.mkv", PAST), ("b.mkv", PAST), ("new.mkv", FUTURE)):
        (place / name).write_bytes(b"video")
        os.utime(place / name, (time, time))
    return place


def listed(folder: Path, *sources: Path, **options: Any) -> FileList:
    state = folder.parent / "state"
    state.mkdir(exist_ok=True)
    chosen = EnhanceOptions.from_flat(options)
    return FileList(state, list(sources) or [folder], folder.parent / "out", chosen, Ledger(state))


def states(files: FileList) -> dict[str, tuple[str, str]]:
    return {outcome.name: (outcome.state, outcome.reason) for outcome in files.outcomes()}


GONE = "it was removed or renamed before its turn"


def test_a_file_that_goes_while_it_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = planning.discover

    def and_remove(*arguments: Any, **more: Any) -> planning.Discovery:
        found = find(*arguments, **more)
        (folder / "b.mkv").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(planning, "discover", and_remove)
    files = listed(folder)
    files.discover()
    assert states(files)["a.mkv"] == ("waiting", "")
    assert states(files)["b.mkv"] == ("refused", GONE)


@pytest.mark.parametrize(("watch", "state"), [(False, "refused"), (True, "skipped")])
def test_a_file_that_goes_while_it_grows(watch: bool, state: str, folder: Path) -> None:
    """In a watched folder captures are often renamed when they are complete: that is not an error."""
    files = listed(folder, watch=watch)
    files.discover()
    assert states(files)["new.mkv"][0] == "growing"
    (folder / "new.mkv").unlink()
    files.settle()
    assert states(files)["new.mkv"] == (state, GONE) and not files.growing()
    (folder / "new.mkv").write_bytes(b"again")
    os.utime(folder / "new.mkv", (PAST, PAST))
    files.discover()
    assert states(files)["new.mkv"][0] == ("growing" if watch else "refused"), "in a watched folder it may come back"


def test_numbered_pictures_with_a_gap_say_which_is_missing(folder: Path) -> None:
    for number in (1, 2, 4):
        (folder / f"{number:03d}.png").write_bytes(b"picture")
    files = listed(folder, folder / "%03d.png", fps="24")
    files.discover()
    state, reason = states(files)["%03d.png"]
    assert state == "refused" and "003.png is missing between 001.png and 004.png" in reason


def test_a_part_of_pictures_alone_is_one_error(folder: Path) -> None:
    files = listed(folder, frames="5:9")
    files.discover()
    for path in folder.iterdir():
        path.rename(path.with_suffix(".png"))
    with pytest.raises(OptionsError, match=r"--frames 5:9: there are only pictures.*name numbered pictures by"):
        listed(folder, frames="5:9").discover()


def test_folders_that_cannot_be_read_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a fault of the file system, since a test may run as root."""
    (folder / "locked").mkdir()
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    files = listed(folder)
    files.discover()
    assert states(files)["locked"] == ("refused", "this folder cannot be read (Permission denied)")
    assert states(files)["a.mkv"][0] == "waiting"

"""Finding the files of a queue, and naming their results."""

from __future__ import annotations

import os
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import InputError
from vidsr.jobs.queue.sources import Found, below, find, names

OUT = Path("/out")
FOLDERS = ("", "a", "b/c")
STEMS = ("tape", "tape.mpg", "film 🎬")
SUFFIXES = (".mpg", ".avi", ".mkv")


def entry(place: str) -> Found:
    return Found(path=Path("/in") / place, name=Path(place))


def results(places: list[str], kept: dict[Path, Path] | None = None, suffix: str = ".mkv") -> dict[str, str]:
    found = names([(entry(p), suffix) for p in places], below(OUT), kept or {}, [entry(p).path for p in places])
    return {
        str(s.relative_to("/in")): "refused" if n.refused else str(n.result.relative_to(OUT)) for s, n in found.items()
    }


def test_two_that_would_meet_keep_their_suffixes() -> None:
    assert results(["tape.mpg", "tape.avi", "film.mpg"]) == {
        "tape.mpg": "tape.mpg.mkv",
        "tape.avi": "tape.avi.mkv",
        "film.mpg": "film.mkv",
    }


def test_a_name_given_before_stays_and_the_newcomer_makes_way() -> None:
    kept = {Path("/in/tape.mpg"): OUT / "tape.mkv"}
    assert results(["tape.mpg", "tape.avi"], kept) == {"tape.mpg": "tape.mkv", "tape.avi": "tape.avi.mkv"}
    assert results(["tape.avi"], kept) == {"tape.avi": "tape.avi.mkv"}


def test_a_folder_without_anything_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    with pytest.raises(InputError, match="no video or picture in this folder"):
        find([tmp_path], None)


def test_a_result_never_has_the_name_of_a_source() -> None:
    found = [entry("tape.mpg"), entry("tape.mkv")]
    named = names([(f, ".mkv") for f in found], below(Path("/in")), {}, [f.path for f in found])
    assert {str(n.result) for n in named.values()} == {"/in/tape.mpg.mkv", "/in/tape.mkv.mkv"}
    alone = names([(found[0], ".mkv")], below(Path("/in")), {}, [f.path for f in found])
    assert [str(n.result) for n in alone.values()] == ["/in/tape.mpg.mkv"], "also one that has its result already"


def test_numbered_pictures_are_named_after_themselves_or_their_folder() -> None:
    frames = [Found(path=Path(f"/in/{p}"), name=Path(Path(p).name)) for p in ("shot 7/%06d.png", "a/film_%04d.tif")]
    named = names([(f, ".mkv") for f in frames], below(OUT), {}, [])
    assert [str(n.result) for n in named.values()] == ["/out/shot 7.mkv", "/out/film.mkv"]


def test_what_cannot_be_told_apart_is_refused() -> None:
    assert results(["tape.mpg", "tape.avi", "tape.avi.mpg"]) == {
        "tape.mpg": "tape.mpg.mkv",
        "tape.avi": "refused",
        "tape.avi.mpg": "tape.avi.mkv",
    }


@given(st.sets(st.tuples(*map(st.sampled_from, (FOLDERS, STEMS, SUFFIXES))), min_size=1, max_size=5))
def test_results_are_distinct_and_do_not_depend_on_the_order(made: set[tuple[str, str, str]]) -> None:
    places = [str(Path(folder) / (stem + suffix)) for folder, stem, suffix in sorted(made)]
    first = results(places)
    given_names = [name for name in first.values() if name != "refused"]
    assert len(set(given_names)) == len(given_names)
    assert all(Path(name).parent == Path(place).parent for place, name in first.items() if name != "refused")
    for order in list(permutations(places))[:12]:
        assert results(list(order)) == first


def test_folders_lists_and_what_is_left_out(tmp_path: Path) -> None:
    tapes, out = tmp_path / "tapes", tmp_path / "tapes" / "out"
    strange = os.fsdecode(b"b\xe4nd \xff.mpg")
    for place in (
        *("b.mpg", "a/c.png", f"a/{strange}", ".hidden.mp4", "half.mkv.part", "vidsr-report.csv", "x.provenance.json"),
        *("out/b.mkv", "b.mkv.vidsr-job/segments/000000.nut", "notes.txt", "empty.mp4"),
    ):
        path = tapes / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "empty" in place else b"x")
    (tapes / "gone.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tapes / "pipe.mp4")
    found = {str(f.name): f for f in find([tapes], out)}
    assert list(found) == ["b.mpg", "empty.mp4", "gone.mp4", "notes.txt", "pipe.mp4", f"a/{strange}", "a/c.png"]
    assert found["b.mpg"].trouble == "" and not found["b.mpg"].is_picture and found["a/c.png"].is_picture
    assert found["notes.txt"].foreign and "neither" in found["notes.txt"].trouble
    reasons = {name: found[name].trouble for name in ("empty.mp4", "gone.mp4", "pipe.mp4")}
    assert reasons["empty.mp4"] == "the file is empty" and reasons["pipe.mp4"] == "not a file"
    assert "No such file" in reasons["gone.mp4"]
    listed = find([tapes / "notes.txt", tapes / "a", tapes / "a" / "c.png"], None)
    assert [(str(f.name), f.trouble) for f in listed] == [("notes.txt", ""), (f"a/{strange}", ""), ("a/c.png", "")]
    with pytest.raises(InputError, match="does not exist"):
        find([tapes / "none.mpg"], None)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no video or picture in this folder"):
        find([tmp_path / "nothing"], None)

"""`vidsr jobs queue` as a person uses it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.clips import ClipFactory
from vidsr import Event, enhance_many
from vidsr.cli.main import run
from vidsr.errors import Interrupted
from vidsr.jobs.state.cancel import Stop


@pytest.fixture
def stopped(clips: ClipFactory, identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output folder of a queue that was stopped after the first of four files."""
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    tapes, stop = tmp_path / "tapes", Stop()
    tapes.mkdir()
    for name in ("a.mkv", "b ü.mkv", "c.mkv", "d.mkv"):
        shutil.copy(clips("silent"), tapes / name)

    def hear(event: Event) -> None:
        if event.kind == "file":
            stop.soft.set()

    with pytest.raises(Interrupted, match="1 of 4 files are done"):
        enhance_many([tapes], tmp_path / "out", model=str(identity), scale=1, progress=hear, stop=stop)
    return tmp_path / "out"


def names(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """(state, name) of every file that was printed."""
    table = capsys.readouterr().out.split("\n\n", 1)[1].splitlines()[1:]
    return [(line.split()[1], line.split(None, 3)[3]) for line in table]


@pytest.mark.long
def test_show_reorder_leave_out_resume(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "queue", "list"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["QUEUE", "STATE", "DONE", "FILES", "NOT", "DONE", "LEFT", "RESULTS"]
    queue, state, *figures, place = row.split()
    assert (state, figures, place) == ("stopped", ["1", "4", "0", "-"], str(stopped))
    assert run(["jobs", "queue", "show", str(stopped)]) == 0
    assert names(capsys) == [
        ("waiting", "b ü.mkv"), ("waiting", "c.mkv"), ("waiting", "d.mkv"), ("done", "a.mkv"),
    ]  # fmt: skip
    assert run(["jobs", "queue", "move", queue, "d.mkv", "first"]) == 0
    assert [name for _, name in names(capsys)][:3] == ["d.mkv", "b ü.mkv", "c.mkv"]
    assert run(["jobs", "queue", "move", queue, "d.mkv", "down"]) == 0
    assert [name for _, name in names(capsys)][:3] == ["b ü.mkv", "d.mkv", "c.mkv"]
    assert run(["jobs", "queue", "move", queue, "b ü.mkv", "last"]) == 0
    assert [name for _, name in names(capsys)][:3] == ["d.mkv", "c.mkv", "b ü.mkv"]
    assert run(["jobs", "queue", "drop", queue, "c.mkv"]) == 0
    assert ("skipped", "c.mkv: left out on request") in names(capsys)
    assert run(["jobs", "queue", "resume", queue, "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ended = [e["text"] for e in events if e["event"] == "file"]
    assert [text for text in ended if text.startswith("done")] == ["done a.mkv", "done d.mkv", "done b ü.mkv"]
    assert events[-1]["counts"] == {"done": 3, "skipped": 1} and events[-1]["ok"]
    assert run(["jobs", "queue", "take", queue, "c.mkv"]) == 0
    assert ("waiting", "c.mkv") in names(capsys)
    assert run(["jobs", "queue", "resume", str(stopped), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"done": 4}
    assert run(["jobs", "queue", "remove", queue]) == 0
    capsys.readouterr()
    assert run(["jobs", "queue", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert (stopped / "a.mkv").exists()


def test_refusals(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for args, code, says in [
        (["show", "nothing"], 1, "there is no queue nothing"),
        (["move", "{out}", "a.mkv", "first"], 1, "a.mkv is done; only files that wait can be moved"),
        (["move", "{out}", "c.mkv", "sideways"], 2, "sideways: give one of first, last, up, down"),
        (["move", "{out}", "e.mkv", "first"], 1, "has no file e.mkv"),
        (["drop", "{out}", "a.mkv"], 1, "there is nothing to leave out"),
        (["take", "{out}", "c.mkv"], 1, "c.mkv was not left out"),
        (["stop", "{out}"], 1, "is not running"),
    ]:
        assert run(["jobs", "queue", *(arg.format(out=stopped) for arg in args)]) == code
        assert says in capsys.readouterr().err

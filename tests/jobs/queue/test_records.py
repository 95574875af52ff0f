"""What a queue keeps on disk survives crashes, and what does not is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import JobError
from vidsr.jobs.queue.records import (
    Begun,
    Ended,
    Ledger,
    QueuedFile,
    QueueRecord,
    Wishes,
    find_queue,
    queue_id,
    queues_folder,
)

STRANGE = os.fsdecode(b"/in/b\xe4nd \xff.mpg")


def test_the_ledger_is_read_back_also_with_a_torn_last_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.name("k", {"size.scale": 2})
    ledger.begin(Begun(source=STRANGE, result="/out/a.mkv", stamp=(1, 2), key="k"))
    ledger.begin(Begun(source="/in/b", result="/out/b.mkv", stamp=(1, 2), key="k", before=(3, 4)))
    done = Ended(
        source=STRANGE, state="done", result="/out/a.mkv", stamp=(1, 2), result_stamp=(5, 6), key="k", notes=("x",)
    )
    ledger.end(done)
    path = tmp_path / "results.jsonl"
    whole = path.read_bytes()
    for cut in (0, 1, 9):
        path.write_bytes(whole + b'{"entry": "ended", "source": "/in/b", "state"'[:cut])
        again = Ledger(tmp_path)
        assert again.ended == {STRANGE: done} and set(again.begun) == {"/in/b"}
        assert again.begun["/in/b"].before == (3, 4) and again.options == {"k": {"size.scale": 2}}
        assert again.results() == {"/out/a.mkv": done}
        assert path.read_bytes() == whole


@given(st.integers(0, 400))
def test_a_ledger_cut_anywhere_holds_what_was_whole(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(folder)
    for number in range(4):
        ledger.end(Ended(source=str(number), state="failed", reason="why"))
    data = (folder / "results.jsonl").read_bytes()
    (folder / "results.jsonl").write_bytes(data[:cut])
    again = Ledger(folder)
    assert list(again.ended) == [str(n) for n in range(data[:cut].count(b"\n"))]
    again.end(Ended(source="more", state="failed"))
    assert list(Ledger(folder).ended) == [*again.ended]


def test_record_and_wishes(tmp_path: Path) -> None:
    file = QueuedFile(name="a", source=STRANGE, stamp=(1, 2), size=(3, 4), result="/out/a.mkv")
    record = QueueRecord(id="x", sources=("/in",), output="/out", options={}, watch=False, created=1.5, files=[file])
    record.save(tmp_path)
    assert QueueRecord.load(tmp_path) == record
    assert Wishes.load(tmp_path) == Wishes()
    wishes = Wishes(order=("b", "a"), left_out=("c",), stop="soft", run="mark")
    wishes.save(tmp_path)
    assert Wishes.load(tmp_path) == wishes
    (tmp_path / "queue.json").write_text('{"schema": 7}')
    with pytest.raises(JobError, match=r"queue.json cannot be read"):
        QueueRecord.load(tmp_path)


def test_queues_are_found_by_id_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    out = tmp_path / "out"
    name = queue_id([Path("tapes")], out)
    assert name == queue_id([Path("other")], out) != queue_id([out / "a"], None)
    assert queue_id([Path("/in/a"), Path("/in/b")], None) == queue_id([Path("/in/c")], None)
    folder = queues_folder() / name
    folder.mkdir(parents=True)
    QueueRecord(id=name, sources=(), output=str(out), options={}, watch=False, created=0).save(folder)
    assert find_queue(name[:4]) == folder == find_queue(str(out))
    with pytest.raises(JobError, match="there is no queue zz"):
        find_queue("zz")

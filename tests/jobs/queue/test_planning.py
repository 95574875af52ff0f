"""Which files are done, resumed, made again or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidsr.errors import JobError, OptionsError, OutputError
from vidsr.jobs.queue import planning
from vidsr.jobs.queue.records import Begun, Ledger, QueuedFile
from vidsr.jobs.state import job_folders
from vidsr.options.enhance_options import EnhanceOptions


@pytest.fixture
def file(tmp_path: Path) -> QueuedFile:
    (tmp_path / "a.mpg").write_bytes(b"source")
    (tmp_path / "out").mkdir()
    found = planning.queued(planning.discover([tmp_path / "a.mpg"], None, join=False).found[0])
    return QueuedFile(name=found.name, source=found.source, stamp=found.stamp, result=str(tmp_path / "out" / "a.mkv"))


def test_a_finished_result_is_recognised_only_with_source_options_and_result_as_they_were(
    file: QueuedFile, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    assert planning.decide(file, ledger, "k", overwrite=False) == planning.Decision()
    Path(file.result).write_bytes(b"result")
    ledger.end(planning.done(file, "k"))
    decision = planning.decide(file, ledger, "k", overwrite=False)
    assert decision.ended is not None and decision.ended.before
    assert planning.decide(file, ledger, "k", overwrite=True) == decision, "--overwrite can be resumed, too"
    assert planning.decide(file, ledger, "other", overwrite=False) == planning.Decision(overwrite=True)
    Path(file.source).write_bytes(b"another source")
    changed = planning.queued(planning.discover([Path(file.source)], None, join=False).found[0])
    changed = QueuedFile(name=file.name, source=file.source, stamp=changed.stamp, result=file.result)
    assert planning.decide(changed, ledger, "k", overwrite=False) == planning.Decision(overwrite=True)
    Path(file.result).write_bytes(b"edited by its owner")
    refused = planning.decide(file, ledger, "k", overwrite=False).ended
    assert refused is not None and "was changed since vidsr made it" in refused.reason
    assert planning.decide(file, ledger, "k", overwrite=True) == planning.Decision(overwrite=True)
    Path(file.result).unlink()
    assert planning.decide(file, ledger, "k", overwrite=False) == planning.Decision()


def test_a_result_of_somebody_else_is_never_replaced(file: QueuedFile, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    Path(file.result).write_bytes(b"not ours")
    refused = planning.decide(file, ledger, "k", overwrite=False).ended
    assert refused is not None and refused.state == "refused" and "use --overwrite" in refused.reason
    assert planning.decide(file, ledger, "k", overwrite=True) == planning.Decision(overwrite=True)


def test_a_result_that_was_finished_but_not_recorded_is_recognised(file: QueuedFile, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(Begun(source=file.source, result=file.result, stamp=file.stamp, key="k"))
    assert planning.decide(file, ledger, "k", overwrite=False) == planning.Decision(resume=True)
    Path(file.result).write_bytes(b"whole")
    ended = planning.decide(file, ledger, "k", overwrite=False).ended
    assert ended is not None and (ended.state, ended.before) == ("done", True)
    job = job_folders.job_folder(Path(file.result))
    job.mkdir()
    (job / "manifest.json").write_text("{}")
    assert planning.decide(file, ledger, "k", overwrite=False) == planning.Decision(resume=True), "it still tidies up"


def test_replacing_is_resumed_as_replacing(file: QueuedFile, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    Path(file.result).write_bytes(b"old")
    os.utime(file.result, (5, 5))
    before = planning.stamp_of(file.result)
    ledger.begin(Begun(source=file.source, result=file.result, stamp=file.stamp, key="k", before=before))
    assert planning.decide(file, ledger, "k", overwrite=False) == planning.Decision(resume=True, overwrite=True)
    Path(file.result).write_bytes(b"new")
    ended = planning.decide(file, ledger, "k", overwrite=False).ended
    assert ended is not None and ended.state == "done"


def test_queues_that_cannot_be_meant(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b.mpg").write_bytes(b"x")
    options = EnhanceOptions()
    with pytest.raises(OutputError, match="is the source folder itself"):
        planning.check_sources([tmp_path / "a"], tmp_path / "a", options)
    with pytest.raises(OutputError, match="is a file"):
        planning.check_sources([tmp_path / "a"], tmp_path / "b.mpg", options)
    with pytest.raises(OutputError, match="name the folder for the results"):
        planning.check_sources([tmp_path / "a", tmp_path / "b.mpg"], None, options)
    with pytest.raises(OptionsError, match="--watch: give a folder"):
        planning.check_sources([tmp_path / "b.mpg"], tmp_path / "o", EnhanceOptions.from_flat({"watch": True}))


def test_what_devices_and_progress_say_does_not_make_other_results() -> None:
    def key(**options: object) -> str:
        return planning.result_key(EnhanceOptions.from_flat(options), "digest")[0]

    assert key() == key(workers=3, join=True, progress_format="json", overwrite=True, watch=True)
    assert len({key(), key(scale=2), key(crf=20), key(picture_format="png"), key(segment_frames=9)}) == 5


def test_other_options_are_named_as_one_types_them(tmp_path: Path) -> None:
    out = tmp_path / "a.mkv"
    out.write_bytes(b"result")
    ledger = Ledger(tmp_path)
    before = EnhanceOptions.from_flat({"start": "0:01.5", "exact_sound": True})
    key, bound = planning.result_key(before, "a" * 64)
    ledger.name(key, bound)
    file = QueuedFile(name="a", source="/in/a.mkv", result=str(out), stamp=(1, 2))
    ledger.end(planning.done(file, key))
    for options, weights, said in (
        (
            EnhanceOptions.from_flat({"start": "0:02"}),
            "a" * 64,
            "--whole-packets (was --exact-sound); --from (was 1.5, is 2)",
        ),
        (before, "b" * 64, "the weights of the model (was aaaaaaaaaaaa…, is bbbbbbbbbbbb…)"),
    ):
        key, bound = planning.result_key(options, weights)
        ledger.name(key, bound)
        with pytest.raises(JobError) as caught:
            planning.check_options([file], ledger, key, "out")
        assert f"other options: {said}. Name another folder" in str(caught.value)

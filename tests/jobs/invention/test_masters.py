"""``--masters``: two videos of one pass, each what a job of its own would make."""

from __future__ import annotations

import json
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import field_clips
from tests.support.places import SAMPLE
from vidsr.errors import Interrupted, OptionsError, OutputError
from vidsr.frames import Frame
from vidsr.inference.colour import rgb8_of
from vidsr.inference.limits.shared_results import SharedResults
from vidsr.jobs import provenance
from vidsr.jobs.enhance import enhance
from vidsr.jobs.finish import VideoAssembly
from vidsr.jobs.invention.master_name import master_of
from vidsr.jobs.invention.masters import with_masters
from vidsr.jobs.preview.estimate import estimate
from vidsr.jobs.segment_worker import SegmentWorker
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.job_folders import job_folder
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EnhanceOptions


@pytest.fixture(scope="module")
def source(make_clip: Callable[..., Path]) -> Path:
    sound = ("-f", "lavfi", "-i", "sine=r=48000:d=0.24", "-c:a", "pcm_s16le", "-shortest")
    short = ("-vf", "crop=48:32", "-frames:v", "6", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    return make_clip("masters-source.mkv", "-i", str(SAMPLE), *sound, "-map", "0:v", "-map", "1:a", *short)


def test_a_source_frame_is_let_go_once_both_networks_have_taken_it() -> None:
    frames = field_clips.frames_of([np.full((32, 32), 16.0 + n) for n in range(6)])
    lumas = [weakref.ref(frame.planes[0]) for frame in frames]

    def copied(frame: Frame) -> Frame:
        return replace(frame, planes=tuple(plane.copy() for plane in frame.planes))

    def two_behind(taken: Iterator[Frame]) -> Iterator[Frame]:
        held = deque(islice(taken, 2))
        while held:
            yield copied(held.popleft())
            held.extend(islice(taken, 1))

    results = with_masters(partial(map, copied), two_behind)(frames.pop(0) for _ in lumas)
    made = list(islice(results, 4))
    assert [frame.index for frame in made] == [0, 1, 2, 3]
    assert all(np.array_equal(frame.planes[0], frame.master.planes[0]) for frame in made if frame.master)
    assert [luma() is None for luma in lumas] == [True] * 4 + [False] * 2
    assert len(list(results)) == 2


def made(source: Path, output: Path, network: Path, **options: Any) -> Path:
    chosen = {"model": str(network), "scale": 1, "device": "cpu", "segment_frames": 3, **options}
    return enhance(source, output, **chosen).output


def frames_of(path: Path) -> np.ndarray:
    return np.stack([rgb8_of(frame) for frame in read_frames(probe(path))])


@pytest.fixture(scope="module")
def both(source: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The access copy in MP4; its master lies next to it."""
    output = tmp_path_factory.mktemp("both") / "film.mp4"
    return made(source, output, tiny_model, masters=True, provenance=True, audio=False)


def test_each_is_what_a_job_of_its_own_makes(both: Path, source: Path, tiny_model: Path, tmp_path: Path) -> None:
    access = made(source, tmp_path / "access.mp4", tiny_model, audio=False)
    assert both.read_bytes() == access.read_bytes()
    faithful = made(source, tmp_path / "faithful.mkv", tiny_model, invent=0, codec="ffv1", audio=False)
    assert master_of(both).name == "film.master.mkv"
    assert np.array_equal(frames_of(master_of(both)), frames_of(faithful))
    assert probe(master_of(both)).video.codec == "ffv1"
    assert not job_folder(both).exists()


def assert_both(source: Path, network: Path, folder: Path, together: dict[str, Any], **options: Any) -> Path:
    """Both results with ``options`` are those of jobs of their own; ``together`` is how the two are made at once."""
    pair = made(source, folder / "pair.mkv", network, masters=True, codec="ffv1", **options, **together)
    access = made(source, folder / "access.mkv", network, codec="ffv1", **options)
    faithful = made(source, folder / "faithful.mkv", network, codec="ffv1", **{**options, "invent": 0})
    assert pair.read_bytes() == access.read_bytes()
    assert np.array_equal(frames_of(master_of(pair)), frames_of(faithful))
    times = [[frame.pts * frame.time_base for frame in read_frames(probe(path))] for path in (pair, master_of(pair))]
    assert times[0] == times[1]
    return pair


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[SharedResults]:
    """Filled with what streams share, as it is made."""
    found: list[SharedResults] = []
    begin = SharedResults.__init__

    def noted(self: SharedResults, *given: Any) -> None:
        begin(self, *given)
        found.append(self)

    monkeypatch.setattr(SharedResults, "__init__", noted)
    return found


@pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"tile": 32, "batch": 3, "stabilize": 0.5}, marks=pytest.mark.long)],
    ids=["plain", "tiles"],
)
def test_a_limited_copy_and_its_master_share_the_faithful_result(
    source: Path, tiny_model: Path, tmp_path: Path, shared: list[SharedResults], options: dict[str, Any]
) -> None:
    assert_both(source, tiny_model, tmp_path, {}, invent=0.5, **options)
    (one,) = shared
    assert one.handed_on >= 6, "every frame once"


def test_another_backend_shares_nothing(
    source: Path, tiny_model: Path, tmp_path: Path, shared: list[SharedResults]
) -> None:
    """The network that results are held to runs on the backend that is chosen for it, the master's on the named one."""
    assert_both(source, tiny_model, tmp_path, {}, invent=0.5, backend="torch")
    assert not shared


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "together"),
    [
        ({"invent": 0.5}, {"workers": 2, "threads": 1}),
        ({"rate": "50"}, {}),
        ({"multiframe": 0.8, "invent": 0.5}, {}),
        ({"reuse_regions": True, "invent": 0.5}, {}),
        ({"multiframe": 0.8, "invent": 0.5}, {"workers": 2, "threads": 1}),
    ],
    ids=["workers", "rate", "multiframe", "regions", "workers and multiframe"],
)
def test_masters_of_other_ways_to_work(
    source: Path, tiny_model: Path, tmp_path: Path, options: dict[str, Any], together: dict[str, Any]
) -> None:
    assert_both(source, tiny_model, tmp_path, together, **options)


@pytest.mark.slow
def test_masters_by_ray(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    assert_both(source, tiny_model, tmp_path, {"engine": "ray", "workers": 2, "threads": 1}, invent=0.5)


def test_the_plan_counts_the_master(both: Path, source: Path, tiny_model: Path) -> None:
    asked = {"model": str(tiny_model), "scale": 1, "device": "cpu", "codec": "h264", "audio": False}
    alone, pair = (estimate(source, EnhanceOptions.from_flat({**asked, "masters": on})) for on in (False, True))
    assert alone.master_bytes == 0 and pair.result_bytes == pytest.approx(alone.result_bytes, rel=0.2)
    size = master_of(both).stat().st_size
    assert pair.master_bytes == pytest.approx(size, rel=0.3)
    assert pair.disk_bytes > pair.result_bytes + 1.5 * pair.master_bytes
    assert alone.disk_bytes == alone.result_bytes + alone.video_bytes


def test_one_record_links_them(both: Path, source: Path, tmp_path: Path) -> None:
    record = both.with_name("film.mp4.provenance.json")
    kept = json.loads(record.read_text())
    assert (kept["result"]["name"], kept["master"]["name"]) == ("film.mp4", "film.master.mkv")
    assert kept["master"]["model"]["name"] == "faithful" and "ffv1" in kept["master"]["encoder"]
    checks = provenance.check(source, both, record)
    assert [check.what for check in checks if check.what.endswith("digest")] == [
        "source digest",
        "result digest",
        "master digest",
    ]
    assert all(check.ok for check in checks)
    master = master_of(both)
    whole = master.read_bytes()
    master.write_bytes(whole[:-1])
    try:
        assert [check.what for check in provenance.check(source, both, record) if not check.ok] == ["master digest"]
    finally:
        master.write_bytes(whole)


def stopped(source: Path, output: Path, model: Path, **options: Any) -> None:
    stop = threading.Event()

    def listen(event: Event) -> None:
        if event.kind == "segment":
            stop.set()

    with pytest.raises(Interrupted):
        made(source, output, model, masters=True, progress=listen, stop=stop, **options)


def test_both_go_on_where_they_were_stopped(
    both: Path, source: Path, tiny_model: Path, tmp_path: Path, one_segment_at_a_time: None
) -> None:
    output = tmp_path / "film.mp4"
    stopped(source, output, tiny_model, audio=False)
    # A damaged master is noticed as well as a damaged access copy.
    (segment,) = (job_folder(output) / "segments").glob("*.master.nut")
    segment.write_bytes(segment.read_bytes()[:-8])
    again = made(source, output, tiny_model, masters=True, audio=False)
    assert again.read_bytes() == both.read_bytes()
    assert master_of(again).read_bytes() == master_of(both).read_bytes()


def test_ended_between_the_two_names(
    both: Path, source: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = VideoAssembly.publish

    def once(self: VideoAssembly) -> None:
        publish(self)
        raise OutputError("the power went off (made up)")

    monkeypatch.setattr(VideoAssembly, "publish", once)
    output = tmp_path / "film.mp4"
    with pytest.raises(OutputError, match="power"):
        made(source, output, tiny_model, masters=True, audio=False)
    assert master_of(output).exists() and not output.exists()
    monkeypatch.undo()
    monkeypatch.setattr(SegmentWorker, "make", None)  # nothing is left to be made
    assert made(source, output, tiny_model, masters=True, audio=False).read_bytes() == both.read_bytes()
    assert not job_folder(output).exists()


def test_what_cannot_be_is_refused(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    for options in ({"invent": 0}, {"model": "faithful"}):
        with pytest.raises(OptionsError, match="both results would show the same"):
            made(source, tmp_path / "a.mkv", tiny_model, masters=True, **options)
    with pytest.raises(OptionsError, match=r"numbered pictures are none.*--invent 0 --codec ffv1"):
        made(source, tmp_path / "%03d.png", tiny_model, masters=True)
    (tmp_path / "b.master.mkv").touch()
    with pytest.raises(OutputError, match="already exists"):
        made(source, tmp_path / "b.mkv", tiny_model, masters=True)
    assert not job_folder(tmp_path / "b.mkv").exists()

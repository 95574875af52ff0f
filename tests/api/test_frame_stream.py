"""``enhance_frames``: the frames that a job makes, of the caller's kind, in bounded memory, closed when abandoned."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.clips import ClipFactory
from tests.support.faces import with_text
from tests.support.scenes import texture
from vidsr import Frame, InputError, OptionsError, VideoFrame, enhance, enhance_frames, open_video
from vidsr.filters.hold import text_hold

FAST: dict[str, Any] = {"device": "cpu", "precision": "fp32"}


def pictures(count: int, dtype: type = np.uint8) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, np.iinfo(dtype).max, (12, 16, 3), dtype, endpoint=True) for _ in range(count)]


def test_planes_are_those_of_the_job(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    """The job, losslessly encoded and read again, against the stream: every sample the same, filters included."""
    chosen: dict[str, Any] = {"model": str(tiny_model), "scale": 2, "restore": "denoise=0.4", **FAST}
    result = enhance(clips("basic"), tmp_path / "out.mkv", codec="ffv1", segment_frames=10_000, **chosen)
    with open_video(clips("basic")) as source, open_video(result.output) as made:
        pairs = zip(enhance_frames(source.planes(), **chosen), made.planes(), strict=True)
        count = 0
        for ours, theirs in pairs:
            count += 1
            assert ours.format == theirs.format
            assert all(np.array_equal(a, b) for a, b in zip(ours.planes, theirs.planes, strict=True))
    assert count == result.frames == 24


def test_text_is_held_on_request_only(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no file that could show whether it was compressed."""
    monkeypatch.setattr(text_hold, "AUTO_PARAMETERS", 1)
    picture = with_text(texture(44, 136, coarse=8.0), [(6, 12, "Central Station")], 11)[0].movedim(0, -1)
    frame = (picture * 255).round().byte().numpy()
    chosen: dict[str, Any] = {"model": str(tiny_model), "scale": 4, **FAST}
    (default,) = enhance_frames([frame], **chosen)
    (free,), (held,) = (enhance_frames([frame], text=text, **chosen) for text in ("free", "hold"))
    assert np.array_equal(default, free) and not np.array_equal(held, free)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_in_arrays_out(dtype: type, tiny_model: Path) -> None:
    source = pictures(3, dtype)
    results = list(enhance_frames(source, model=str(tiny_model), scale=2, **FAST))
    assert [r.shape for r in results] == [(24, 32, 3)] * 3
    assert all(r.dtype == dtype for r in results)


def test_video_frames_keep_their_time(clips: ClipFactory, tiny_model: Path) -> None:
    with open_video(clips("basic")) as video:
        source = list(video.frames(4, 7))
        results = list(enhance_frames(iter(source), model=str(tiny_model), height=100, **FAST))
    assert [(r.index, r.pts, r.time_base, r.duration) for r in results] == [
        (s.index, s.pts, s.time_base, s.duration) for s in source
    ]
    assert all(isinstance(r, VideoFrame) and r.array.shape[0] == 100 for r in results)


def test_the_input_is_pulled_only_as_far_as_needed_and_dropped(tiny_model: Path) -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    pulled = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal pulled
        rng = np.random.default_rng(1)
        while True:
            array = rng.integers(0, 256, (64, 64, 3), np.uint8)
            alive.append(weakref.ref(array))
            pulled += 1
            yield array

    stream = enhance_frames(endless(), model=str(tiny_model), batch=2, **FAST)
    for number in range(1, 30):
        next(stream)
        assert pulled <= number + 8
    assert sum(ref() is not None for ref in alive) <= 8
    stream.close()


def test_abandoning_closes_and_leaves_the_input_usable(tiny_model: Path) -> None:
    closed: list[str] = []

    def source() -> Iterator[np.ndarray]:
        try:
            yield from pictures(20)
        finally:
            closed.append("source")

    frames = source()
    stream = enhance_frames(frames, model=str(tiny_model), batch=1, **FAST)
    next(stream)
    held = weakref.ref(stream)
    del stream
    gc.collect()
    assert held() is None and not closed
    assert next(frames).shape == (12, 16, 3)


def test_no_frames_give_no_frames(tiny_model: Path) -> None:
    nothing: list[Frame] = []
    assert list(enhance_frames(nothing, model=str(tiny_model))) == []


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"model": "auto"}, "needs a file to look at"),
        ({"finish_within": "1h"}, "needs a file to look at"),
        ({"restore": "auto"}, "needs a file to analyse"),
        ({"restore": "ivtc=tff"}, "changes the number of frames"),
        ({"restore": "dedupe"}, "changes the number of frames"),
        ({"multiframe": 0.5}, "needs to know where a video ends"),
        ({"restore": "deinterlace=tff", "fields": "double"}, "changes the number of frames"),
        ({"restore": "deinterlace"}, "deinterlace=tff"),
        ({"restore": "crop"}, "crop=LEFT:TOP:WIDTH:HEIGHT"),
        ({"scale": 99}, "--scale 99"),
    ],
)
def test_what_needs_a_file_is_refused_at_the_call(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        enhance_frames(pictures(1), **keywords)


def test_frames_that_do_not_fit_are_named(tiny_model: Path) -> None:
    mixed = [*pictures(2), np.zeros((8, 8, 3), np.uint8)]
    with pytest.raises(InputError, match="frame 2 is 8x8 gbrp, the first one is 16x12"):
        list(enhance_frames(mixed, model=str(tiny_model), **FAST))
    with pytest.raises(InputError, match=r"frame 0 must be \[H, W, 3\] of uint8 or uint16, got .* float64"):
        list(enhance_frames([np.zeros((8, 8, 3))], model=str(tiny_model), **FAST))
    with pytest.raises(InputError, match="frame 0 is a str"):
        list(enhance_frames(["a.png"], model=str(tiny_model), **FAST))  # type: ignore[list-item]

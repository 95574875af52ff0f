"""``--invent``: where and how far results are held to what their source supports."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from tests.support.places import SAMPLE, STILL
from vidsr.errors import Interrupted
from vidsr.inference.colour import rgb8_of
from vidsr.jobs.enhance import enhance
from vidsr.jobs.invention.limit import InventionLimit, limit_of
from vidsr.jobs.state.events import Event
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.restore_options import RestoreOptions


def pictures(seed: int, noise: float = 0.2) -> tuple[Tensor, Tensor, Tensor]:
    """A source, an enlargement with noise in its right half, and the enlargement."""
    draw = torch.Generator().manual_seed(seed)
    with Image.open(STILL) as still:
        pixels = np.asarray(still.convert("RGB").crop((seed % 200, 40, seed % 200 + 32, 64)))
    source = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    supported = F.interpolate(source, scale_factor=4.0, mode="bicubic").clamp(0, 1)
    out = supported.clone()
    out[..., 64:] += noise * torch.randn(1, 3, 96, 64, generator=draw)
    return source, out, supported


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), shares=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted))
def test_a_larger_share_keeps_more_everywhere(seed: int, shares: list[float]) -> None:
    low, high = (InventionLimit(share=share) for share in shares)
    less, more = low.kept(*pictures(seed)), high.kept(*pictures(seed))
    assert less.min() >= 0 and more.max() <= 1 and bool((less <= more).all())


def test_what_is_not_supported_is_held_most() -> None:
    source, out, supported = pictures(1)
    limit = InventionLimit(share=0.5)
    kept = limit.kept(source, out, supported)
    assert kept[..., :48].mean() > kept[..., 80:].mean() + 0.2
    # From one to the other it goes by and by: no seam.
    assert (kept[..., 1:] - kept[..., :-1]).abs().max() < 0.2
    result = limit(source, out, supported)
    assert torch.equal(result[..., :48], supported[..., :48])
    assert (result - supported)[..., 80:].std() < 0.7 * (out - supported)[..., 80:].std()


def test_the_ends() -> None:
    source, out, supported = pictures(2)
    assert torch.equal(InventionLimit(share=0.0)(source, out, supported), supported)
    assert torch.equal(InventionLimit(share=0.3)(source, supported, supported), supported)
    assert limit_of(RestoreOptions()) is None and limit_of(RestoreOptions(invent=0.5)) == InventionLimit(share=0.5)


@pytest.fixture(scope="module")
def source(make_clip: Callable[..., Path]) -> Path:
    short = ("-an", "-frames:v", "4", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    return make_clip("limit-source.mkv", "-i", str(SAMPLE), "-vf", "crop=40:32", *short)


def made(source: Path, output: Path, **options: Any) -> Path:
    return enhance(source, output, **{"codec": "ffv1", "device": "cpu", "segment_frames": 2, **options}).output


def frames_of(path: Path) -> np.ndarray:
    return np.stack([rgb8_of(frame).astype(int) for frame in read_frames(probe(path))])


def test_nothing_invented_is_the_faithful_result(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    model = str(tiny_model)
    result = made(source, tmp_path / "a.mkv", model=model, invent=0, provenance=True)
    faithful = made(source, tmp_path / "b.mkv", model="faithful")
    half = made(source, tmp_path / "c.mkv", model=model, invent=0.5)
    free = made(source, tmp_path / "d.mkv", model=model)
    assert np.array_equal(frames_of(result), frames_of(faithful))
    far = [float(np.abs(frames_of(path) - frames_of(faithful)).mean()) for path in (half, free)]
    assert 0 < far[0] < far[1]
    record = json.loads((tmp_path / "a.mkv.provenance.json").read_text())
    assert record["held_to"]["name"] == "faithful" and record["options"]["restore"]["invent"] == 0


def test_a_limited_job_goes_on_where_it_was_stopped(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    options = {"model": str(tiny_model), "invent": 0.4, "stabilize": 0.5}
    whole = made(source, tmp_path / "whole.mkv", **options)
    stop = threading.Event()

    def listen(event: Event) -> None:
        if event.kind == "segment":
            stop.set()

    with pytest.raises(Interrupted):
        made(source, tmp_path / "again.mkv", progress=listen, stop=stop, **options)
    again = made(source, tmp_path / "again.mkv", **options)
    assert whole.read_bytes() == again.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize(
    "way",
    [
        {"workers": 2, "threads": 1},
        {"batch": 3},
        {"segment_frames": 3},
        {"reuse_regions": True},
        {"provenance": True, "invention": "json"},
    ],
    ids=["workers", "batches", "segments", "regions", "records"],
)
def test_a_limited_result_does_not_depend_on_how_it_is_made(
    source: Path, tiny_model: Path, tmp_path: Path, way: dict[str, Any]
) -> None:
    """Of a compact model, parts that changed give the same as whole frames; of others too, where all has changed."""
    model = "realesr-animevideov3" if "reuse_regions" in way else str(tiny_model)
    for invent in (0.25, 0.8):
        plain = made(source, tmp_path / f"plain-{invent}.mkv", model=model, invent=invent)
        other = made(source, tmp_path / f"other-{invent}.mkv", **{"model": model, "invent": invent, **way})
        assert np.array_equal(frames_of(plain), frames_of(other))
        free = made(source, tmp_path / f"free-{invent}.mkv", model=model)
        assert not np.array_equal(frames_of(free), frames_of(plain)), "the limit acts at all"


@pytest.mark.long
def test_tiles_change_a_limited_result_no_more_than_its_networks(
    source: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """The limit looks at whole frames: what differs is what the networks themselves make of tiles."""

    def apart(**options: Any) -> int:
        whole, tiled = (
            frames_of(made(source, tmp_path / f"{n}.mkv", overwrite=True, **options, **more)) for n, more in tiles
        )
        return int(np.abs(whole - tiled).max())

    tiles: tuple[tuple[str, dict[str, Any]], ...] = (("whole", {}), ("tiled", {"tile": 32}))
    own = max(apart(model=str(tiny_model)), apart(model="faithful"))
    assert apart(model=str(tiny_model), invent=0.5) <= own + 1 < 10


def test_a_picture_is_limited_too(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(rgb8_of(next(iter(read_frames(probe(source)))))).save(picture)
    results = {}
    for name, options in {
        "zero": {"model": str(tiny_model), "invent": 0},
        "half": {"model": str(tiny_model), "invent": 0.5},
        "free": {"model": str(tiny_model)},
        "faithful": {"model": "faithful"},
    }.items():
        output = enhance(picture, tmp_path / f"{name}.png", device="cpu", **options).output  # type: ignore[arg-type]
        results[name] = np.asarray(Image.open(output)).astype(int)
    assert np.array_equal(results["zero"], results["faithful"])
    far = [float(np.abs(results[name] - results["faithful"]).mean()) for name in ("half", "free")]
    assert 0 < far[0] < far[1]

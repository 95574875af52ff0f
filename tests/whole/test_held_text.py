"""``--text auto`` holds small text in the results of large networks, in whatever segments a frame is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.faces import with_text
from tests.support.scenes import texture
from vidsr.filters.hold import text_hold
from vidsr.inference.colour import rgb8_of
from vidsr.jobs.enhance import enhance
from vidsr.jobs.invention.master_name import master_of
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe

#: Frames of the source; the second shows no text.
FRAMES, WITHOUT = 3, 1


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbered pictures whose ground moves under a caption."""
    folder = tmp_path_factory.mktemp("captioned")
    ground = texture(88, 200, coarse=8.0)
    for number in range(FRAMES):
        picture = ground.roll(number, -1)
        if number != WITHOUT:
            picture = with_text(picture, [(6, 12, "Central Station")], 10)
        codes = (picture[0].movedim(0, -1) * 255).round().to(torch.uint8).numpy()
        Image.fromarray(codes).save(folder / f"{number:03d}.png")
    return folder / "%03d.png"


@pytest.fixture(autouse=True)
def every_network_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_hold, "AUTO_PARAMETERS", 1)


def made(source: Path, output: Path, network: str, **options: Any) -> np.ndarray:
    """The frames of a job. Colour lock and fidelity carry a change beyond the place where it was made."""
    chosen = {
        "scale": 4,
        "codec": "ffv1",
        "fps": "25",
        "device": "cpu",
        "colour_lock": False,
        "fidelity": 0,
        "text": "auto",
    }
    plain = {"colour_lock": False, "fidelity": 0, "text": "auto"}
    enhance(source, output, model=network, **{**chosen, **plain, **options})
    return np.stack([rgb8_of(frame) for frame in read_frames(probe(output))]).astype(int)


def test_text_is_held_and_nothing_else(captioned: Path, tiny_model: Path, tmp_path: Path) -> None:
    held = made(captioned, tmp_path / "held.mkv", str(tiny_model), provenance=True, segment_frames=FRAMES)
    free = made(captioned, tmp_path / "free.mkv", str(tiny_model), text="free")
    changed = (held != free).any(-1)
    assert changed[:, 60:84, 60:280].mean((1, 2)).tolist() == pytest.approx([1, 0, 1], abs=0.2)
    assert not changed[WITHOUT].any() and not changed[:, 200:].any()
    record = json.loads((tmp_path / "held.mkv.provenance.json").read_text())
    assert record["held"]["text"] == "hold" and record["held"]["networks"][0]["name"] == "faithful"
    pieces = made(captioned, tmp_path / "pieces.mkv", str(tiny_model), segment_frames=2)
    assert np.array_equal(pieces, held), "a frame does not depend on its segment"


def test_a_master_is_not_touched(captioned: Path, tiny_model: Path, tmp_path: Path) -> None:
    made(captioned, tmp_path / "film.mkv", str(tiny_model), masters=True, segment_frames=2)
    master = np.stack([rgb8_of(frame) for frame in read_frames(probe(master_of(tmp_path / "film.mkv")))])
    assert np.array_equal(master, made(captioned, tmp_path / "faithful.mkv", "faithful", text="free"))

"""``--text auto``, the default, holds small text of sound sources in the results of large networks, in whatever
segments a frame is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.clips import run_ffmpeg
from tests.support.faces import with_text
from tests.support.scenes import texture
from vidsr.filters.hold import text_hold
from vidsr.inference.colour import rgb8_of
from vidsr.jobs.enhance import enhance
from vidsr.jobs.invention.master_name import master_of
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions, PictureOptions

#: Frames of the source; the second shows no text.
FRAMES, WITHOUT = 5, 1


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


@pytest.fixture(scope="module")
def damaged(captioned: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as a file of a lossy codec, and stored without loss after one."""
    folder = tmp_path_factory.mktemp("damaged")
    coded, stored = folder / "coded.mpg", folder / "stored.mkv"
    run_ffmpeg(
        "-framerate",
        "25",
        "-i",
        str(captioned),
        "-c:v",
        "mpeg2video",
        "-b:v",
        "200k",
        "-pix_fmt",
        "yuv420p",
        str(coded),
    )
    run_ffmpeg("-i", str(coded), "-c:v", "ffv1", str(stored))
    return {"coded": coded, "stored": stored}


def made(source: Path, output: Path, network: str, **options: Any) -> np.ndarray:
    """The frames of a job. Colour lock and fidelity carry a change beyond the place where it was made."""
    chosen = {"scale": 4, "codec": "ffv1", "device": "cpu", "colour_lock": False, "fidelity": 0}
    if source.suffix == ".png":
        chosen["fps"] = "25"
    enhance(source, output, model=network, **{**chosen, **options})
    return np.stack([rgb8_of(frame) for frame in read_frames(probe(output))]).astype(int)


@pytest.mark.long
def test_text_is_held_and_nothing_else(captioned: Path, tiny_model: Path, tmp_path: Path) -> None:
    held = made(captioned, tmp_path / "held.mkv", str(tiny_model), provenance=True, segment_frames=FRAMES)
    free = made(captioned, tmp_path / "free.mkv", str(tiny_model), text="free")
    changed = (held != free).any(-1)
    assert changed[:, 60:84, 60:280].mean((1, 2)).tolist() == pytest.approx([1, 0, 1, 1, 1], abs=0.2)
    assert not changed[WITHOUT].any() and not changed[:, 200:].any()
    record = json.loads((tmp_path / "held.mkv.provenance.json").read_text())
    assert record["held"]["text"] == "hold" and record["held"]["networks"][0]["name"] == "faithful"
    pieces = made(captioned, tmp_path / "pieces.mkv", str(tiny_model), segment_frames=3)
    assert np.array_equal(pieces, held), "a frame does not depend on its segment"


def test_text_of_a_compressed_source_stays_free(damaged: dict[str, Path], tiny_model: Path, tmp_path: Path) -> None:
    """Also in the frames that show no blocks themselves: one choice for the whole job."""
    options = EnhanceOptions(model=ModelOptions(model=str(tiny_model), device="cpu"))
    assert Recipe.of(damaged["coded"], options).no_text == "the source was compressed with loss (mpeg2video)"
    assert Recipe.of(damaged["stored"], options).no_text == "compression blocks"
    auto = made(damaged["stored"], tmp_path / "auto.mkv", str(tiny_model), provenance=True)
    assert json.loads((tmp_path / "auto.mkv.provenance.json").read_text())["held"] is None
    assert np.array_equal(auto, made(damaged["stored"], tmp_path / "free.mkv", str(tiny_model), text="free"))


def test_too_few_frames_are_not_judged(captioned: Path, tiny_model: Path, tmp_path: Path) -> None:
    for picture in sorted(captioned.parent.glob("*.png"))[:4]:
        shutil.copy(picture, tmp_path)
    options = EnhanceOptions(model=ModelOptions(model=str(tiny_model), device="cpu"), pictures=PictureOptions(fps="25"))
    assert Recipe.of(captioned, options).no_text == ""
    assert "too few frames" in Recipe.of(tmp_path / "%03d.png", options).no_text


def test_a_master_is_not_touched(captioned: Path, tiny_model: Path, tmp_path: Path) -> None:
    made(captioned, tmp_path / "film.mkv", str(tiny_model), masters=True, segment_frames=2)
    master = np.stack([rgb8_of(frame) for frame in read_frames(probe(master_of(tmp_path / "film.mkv")))])
    assert np.array_equal(master, made(captioned, tmp_path / "faithful.mkv", "faithful", text="free"))

"""Whether a file is drawn, by its own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.drawings import drawn, filmed
from vidsr.jobs.choosing.look import kind_of_pictures, kind_of_video
from vidsr.media.probe import probe


def saved(folder: Path, pictures: list[Any]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:03d}.png" for number in range(len(pictures))]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def test_pictures_are_judged_together_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    cartoons = saved(tmp_path / "a", [drawn(n) for n in range(4)])
    cartoons[1].write_bytes(b"not a picture")
    assert kind_of_pictures(cartoons) == "drawings"
    assert kind_of_pictures(saved(tmp_path / "b", [filmed(n) for n in range(2)])) == "camera footage"
    assert kind_of_pictures([]) == "camera footage"


def test_pictures_with_alpha_and_grey_ones_are_looked_at_too(tmp_path: Path) -> None:
    Image.fromarray(drawn()).convert("L").save(tmp_path / "grey.png")
    clear = np.dstack([drawn(), np.full((360, 480), 255, np.uint8)])
    Image.fromarray(clear, "RGBA").save(tmp_path / "alpha.png")
    assert kind_of_pictures([tmp_path / "grey.png", tmp_path / "alpha.png"]) == "drawings"


def test_a_video_is_judged_by_frames_from_all_over_it(tmp_path: Path, make_clip: Any) -> None:
    saved(tmp_path / "c", [drawn(n) for n in range(4)])
    still = make_clip("drawn.mkv", "-framerate", "2", "-i", str(tmp_path / "c" / "%03d.png"), "-c:v", "ffv1")
    assert kind_of_video(probe(still)) == "drawings"
    assert kind_of_video(probe(make_clip.__self__("basic"))) == "camera footage"

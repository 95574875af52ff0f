"""The map of a previewed frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.places import ROOT
from vidsr.errors import InputError, OptionsError
from vidsr.jobs.preview.invention_map import MAP_NAME, map_preview
from vidsr.jobs.preview.preview import Moment, save_moment


@pytest.fixture
def moment() -> Moment:
    """A photograph, and an enlargement by four whose right half is noisy."""
    picture = Image.open(ROOT / "samples" / "bigbuckbunny-320x180.png").convert("RGB").crop((40, 60, 104, 100))
    after = np.asarray(picture.resize((256, 160), Image.Resampling.BICUBIC)).astype(int)
    after[:, 128:] += np.random.default_rng(1).integers(-40, 41, after[:, 128:].shape)
    return Moment(seconds=0, before=np.asarray(picture), after=after.clip(0, 255).astype(np.uint8), place="here")


def test_noise_in_one_half_is_found_there(moment: Moment, tmp_path: Path) -> None:
    save_moment(moment, tmp_path)
    film = map_preview(tmp_path, tmp_path, "cpu")
    assert film["supported_percent"] < 90 and film["expected_error"] > 2, film
    with Image.open(tmp_path / MAP_NAME) as layer:
        assert layer.mode == "RGBA" and layer.size == (64, 40)
        alpha = np.asarray(layer)[..., 3].astype(float)
    assert alpha[:, 36:].mean() > 1.3 * alpha[:, :28].mean()


def test_refusals(moment: Moment, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make the preview again"):
        map_preview(tmp_path, tmp_path, "cpu")
    save_moment(moment, tmp_path)
    for size, reason in (((256, 100), "do not show the same"), ((60, 38), "smaller"), ((7000, 6000), "too large")):
        Image.new("RGB", size).save(tmp_path / "after.png")
        with pytest.raises(OptionsError, match=reason):
            map_preview(tmp_path, tmp_path, "cpu")
    assert not (tmp_path / MAP_NAME).exists()

"""NIQE against the values of the published implementation (BasicSR, which repeats the authors' MATLAB code)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from tests.support.places import STILL
from vidsr.quality.no_reference.niqe import measurable, niqe

#: Values of BasicSR 1.4.2's ``calculate_niqe`` with ``crop_border=0``; Set14's first picture is its own test picture,
#: for which MATLAB gives 5.72957338.
PUBLISHED = {
    "bsd100/001.png": 2.77066,
    "bsd100/002.png": 3.98074,
    "bsd100/003.png": 3.29015,
    "bsd100/004.png": 2.46164,
    "bsd100/005.png": 2.21486,
    "Set5/img_001_SRF_4_HR.png": 3.26558,
    "Set14/img_001_SRF_4_HR.png": 5.72957,
    "Set14/img_012_SRF_4_HR.png": 7.06350,
    "vid4/foliage/01.png": 3.37913,
    "real-esrgan/OST_009.png": 5.59207,
}


def read(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


def test_published_value() -> None:
    with Image.open(STILL) as picture:
        assert niqe(read(picture)) == pytest.approx(4.41729, abs=1e-2)


def test_ten_published_values(shared: Path) -> None:
    for name, value in PUBLISHED.items():
        with Image.open(shared / "data" / name) as picture:
            assert niqe(read(picture)) == pytest.approx(value, abs=1e-2), name


def test_blur_is_less_natural() -> None:
    with Image.open(STILL) as picture:
        plain = niqe(read(picture))
        soft = niqe(read(picture.convert("RGB").filter(ImageFilter.GaussianBlur(2))))
    assert plain is not None and soft is not None and soft > plain + 1


def test_too_small_and_flat() -> None:
    assert measurable(192, 96) and not measurable(191, 96) and not measurable(400, 95)
    with pytest.raises(ValueError, match="two blocks of 96x96 px, got 100x96"):
        niqe(torch.rand(1, 3, 96, 100))
    assert niqe(torch.full((1, 3, 96, 192), 0.5)) is None

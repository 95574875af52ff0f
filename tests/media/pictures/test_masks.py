"""Folders of masks: order, size, count, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidsr.errors import InputError
from vidsr.media.pictures.masks import MaskFolder


def save(path: Path, value: int = 255, mode: str = "L", size: tuple[int, int] = (12, 8)) -> None:
    Image.new(mode, size, value).save(path)


def test_masks_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        save(tmp_path / f"mask{number}.png", number)
    (tmp_path / "readme.txt").write_text("not a mask")
    masks = MaskFolder.find(tmp_path)
    assert [f.name for f in masks.files] == ["mask1.png", "mask2.png", "mask10.png"]
    assert [round(float(masks.share(n, 12, 8)[0, 0]) * 255) for n in range(3)] == [1, 2, 10]


def test_sixteen_bits_one_bit_and_grey_rgb_are_read(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 96).astype(np.uint16).reshape(8, 12)
    Image.fromarray(ramp).save(tmp_path / "1.png")
    save(tmp_path / "2.png", 1, "1")
    Image.new("RGB", (12, 8), (51, 51, 51)).save(tmp_path / "3.png")
    masks = MaskFolder.find(tmp_path)
    assert np.allclose(masks.share(0, 12, 8), ramp / 65535, atol=1e-6)
    assert (masks.share(1, 12, 8) == 1).all()
    assert np.allclose(masks.share(2, 12, 8), 0.2)


def test_what_cannot_be_a_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        MaskFolder.find(tmp_path / "none")
    with pytest.raises(InputError, match="no PNG picture"):
        MaskFolder.find(tmp_path)
    save(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"the mask is 12x8, the frames of the source are 64x48"):
        MaskFolder.find(tmp_path).check_size(64, 48)
    Image.new("RGB", (12, 8), (9, 80, 9)).save(tmp_path / "1.png")
    with pytest.raises(InputError, match="must be grey"):
        MaskFolder.find(tmp_path).check_size(12, 8)
    Image.new("LA", (12, 8), (9, 80)).save(tmp_path / "1.png")
    with pytest.raises(InputError, match="no alpha"):
        MaskFolder.find(tmp_path).check_size(12, 8)


def test_one_mask_for_all_or_one_for_each(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    MaskFolder.find(tmp_path).check_count(100, at_least=False, retimed="ivtc")
    for number in range(2, 6):
        save(tmp_path / f"{number}.png")
    masks = MaskFolder.find(tmp_path)
    masks.check_count(5, at_least=False)
    masks.check_count(3, at_least=True)
    with pytest.raises(InputError, match="5 masks, the source has 4 frames"):
        masks.check_count(4, at_least=False)
    with pytest.raises(InputError, match="5 masks, frames 0 to 8 are needed"):
        masks.check_count(9, at_least=True)
    with pytest.raises(InputError, match="ivtc changes which frames there are"):
        masks.check_count(5, at_least=False, retimed="ivtc")


def test_the_digest_knows_content_and_order(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 0)
    save(tmp_path / "2.png", 255)
    before = MaskFolder.find(tmp_path).digest()
    save(tmp_path / "1.png", 255)
    save(tmp_path / "2.png", 0)
    assert MaskFolder.find(tmp_path).digest() != before

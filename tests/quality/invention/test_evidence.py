"""Each kind of evidence answers to what it is meant for, and to nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.places import STILL
from vidsr.quality.bicubic import resize_bicubic
from vidsr.quality.invention.evidence import KINDS, RATIOS, Carried, evidence


@pytest.fixture(scope="module")
def source() -> torch.Tensor:
    with Image.open(STILL) as picture:
        pixels = np.asarray(picture.convert("RGB").crop((100, 40, 140, 72)))
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


def means(result: torch.Tensor, source: torch.Tensor, faithful: torch.Tensor, **more: object) -> dict[str, float]:
    found = evidence(result, source, faithful, more.get("carried"))  # type: ignore[arg-type]
    assert found.shape == (1, len(KINDS), *source.shape[-2:]) and torch.isfinite(found).all()
    assert all((found[:, n] >= 0).all() for n, kind in enumerate(KINDS) if kind not in RATIOS)
    return dict(zip(KINDS, found.mean((0, 2, 3)).tolist(), strict=True))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_interpolation_has_next_to_nothing_against_it(source: torch.Tensor, scale: int) -> None:
    plain = resize_bicubic(source, scale).clamp(0, 1)
    found = means(plain, source, plain)
    assert found["departure"] == found["unsteady"] == 0 and found["room"] < 0.05, "but for the borders"
    assert found["fine"] < 2 and found["change"] < 2 and found["contrast"] > 1


def test_fine_pattern_is_seen_as_fine_and_not_as_change(source: torch.Tensor) -> None:
    plain = resize_bicubic(source * 0.5 + 0.25, 4)
    checks = (torch.arange(plain.shape[-1]) % 2 - 0.5).view(1, 1, 1, -1) * 0.1
    before, after = (means(p, source * 0.5 + 0.25, plain) for p in (plain, plain + checks))
    assert after["fine"] - before["fine"] > 8 and after["departure"] > 10
    assert abs(after["change"] - before["change"]) < 0.5


def test_another_brightness_is_seen_as_change_and_not_as_fine(source: torch.Tensor) -> None:
    plain = resize_bicubic(source * 0.5 + 0.25, 4)
    before, after = (means(p, source * 0.5 + 0.25, plain) for p in (plain, plain + 0.1))
    assert after["change"] - before["change"] > 20
    assert after["fine"] == pytest.approx(before["fine"], abs=0.1)


def test_only_change_beyond_the_source_is_unsteady(source: torch.Tensor) -> None:
    plain = resize_bicubic(source, 4).clamp(0, 1)
    seen = torch.ones(1, 1, *plain.shape[-2:])
    seen[..., :64] = 0
    moved = (plain + 0.05).clamp(0, 1)
    same = means(plain, source, plain, carried=Carried(result=moved, source=moved, seen=seen))
    assert same["unsteady"] == pytest.approx(0, abs=0.2), "the source changes as much"
    alone = evidence(plain, source, plain, Carried(result=moved, source=plain, seen=seen))[0, KINDS.index("unsteady")]
    assert alone[:, :13].max() == 0 and alone[:, 20:].mean() > 5, "where the motion is known"


def test_compression_is_seen_as_lost_detail_and_noise_as_a_floor(source: torch.Tensor) -> None:
    plain = resize_bicubic(source, 4).clamp(0, 1)
    soft = torch.nn.functional.avg_pool2d(source, 3, 1, 1, count_include_pad=False)
    noisy = source + 0.02 * torch.randn(source.shape, generator=torch.Generator().manual_seed(0))
    sound, lost, grainy = (means(plain, low, plain) for low in (source, soft, noisy))
    assert lost["finest"] < sound["finest"] - 0.2 and lost["detail_1"] < 0.7 * sound["detail_1"]
    assert lost["detail_4"] > 0.7 * sound["detail_4"]
    assert grainy["floor"] > sound["floor"] + 0.5

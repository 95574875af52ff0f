"""Score a model on a set of pictures whose originals are known, as papers report it.

Conventions of the field: PSNR-Y and SSIM-Y on BT.601 luma (not rounded) of the 8-bit result, PSNR-RGB on
its three channels, all with a border of ``scale`` pixels left out; LPIPS on the whole picture. Equal pictures count
as :data:`vidsr.quality.comparison.PSNR_CAP` dB.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vidsr.errors import InputError, ModelError
from vidsr.frames import Rgb8
from vidsr.inference.upscaler import Upscaler
from vidsr.media.pictures.files import is_picture, mapped_errors, open_image
from vidsr.models.checkpoint import LoadedModel
from vidsr.options.enhance_options import ModelOptions
from vidsr.quality import full_reference
from vidsr.quality.bicubic import resize_bicubic, resize_bicubic_uint8
from vidsr.quality.comparison import PSNR_CAP
from vidsr.quality.lpips import Lpips

#: The measures of an evaluation, in the order in which they are shown: name → (title, decimals).
SCORES = {"psnr_y": ("PSNR-Y", 2), "ssim_y": ("SSIM-Y", 4), "psnr_rgb": ("PSNR-RGB", 2), "lpips": ("LPIPS", 4)}


@dataclass(frozen=True, slots=True)
class Case:
    """One picture of the set: the original, and its small file, or None if the original is reduced here."""

    name: str
    high: Path
    low: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """How to evaluate.

    ``scale`` reduces the originals where the set has no small pictures; the model's own if None. ``border`` is the
    number of pixels left out on each side; the scale if None.
    """

    scale: int | None = None
    border: int | None = None
    lpips: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One picture's scores, for the model and for plain bicubic enlargement, and the seconds the model took."""

    name: str
    width: int
    height: int
    scale: int
    seconds: float
    model: dict[str, float]
    bicubic: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All scores of a model on a set."""

    model: str
    dataset: Path
    pictures: tuple[Scored, ...]
    notes: tuple[str, ...] = field(default=())

    def means(self, of: str = "model") -> dict[str, float]:
        """Mean scores of "model" or "bicubic"."""
        rows = [getattr(picture, of) for picture in self.pictures]
        return {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}

    @property
    def megapixels_per_second(self) -> float:
        """Speed in megapixels of result per second, start-up included."""
        return sum(p.width * p.height for p in self.pictures) / 1e6 / sum(p.seconds for p in self.pictures)

    def to_json(self) -> dict[str, Any]:
        """Means by name, then every picture; a measure that was left out is None."""
        none = dict.fromkeys(SCORES)
        return {
            "model": self.model,
            "dataset": str(self.dataset),
            **none,
            **self.means(),
            "bicubic": self.means("bicubic"),
            "seconds": round(sum(p.seconds for p in self.pictures), 3),
            "megapixels_per_second": round(self.megapixels_per_second, 4),
            "pictures": [
                {
                    "name": p.name,
                    "width": p.width,
                    "height": p.height,
                    "scale": p.scale,
                    "seconds": round(p.seconds, 3),
                    **none,
                    **p.model,
                    "bicubic": p.bicubic,
                }
                for p in self.pictures
            ],
            "notes": list(self.notes),
        }


def find_cases(dataset: Path) -> list[Case]:
    """The pictures of a set: pairs ``*_HR.*`` and ``*_LR.*`` in one folder, or a folder of originals alone.

    Raises:
        InputError: the folder is missing or holds no pictures, or an original has no partner.
    """
    if not dataset.is_dir():
        raise InputError(f"{dataset} is not a folder: a set is a folder of *_HR and *_LR pictures, or of originals")
    files = sorted(path for path in dataset.iterdir() if path.is_file() and is_picture(path))
    if not files:
        raise InputError(f"{dataset} holds no pictures")
    high = [path for path in files if path.stem.endswith("_HR")]
    if not high:
        return [Case(path.stem, path, None) for path in files]
    cases = []
    for path in high:
        stem = path.stem.removesuffix("_HR")
        low = next((f for f in files if f.stem == f"{stem}_LR"), None)
        if low is None:
            raise InputError(f"{path} has no partner {stem}_LR{path.suffix}")
        cases.append(Case(stem, path, low))
    return cases


def evaluate(
    model: str | LoadedModel,
    dataset: Path,
    settings: EvaluateSettings | None = None,
    options: ModelOptions | None = None,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Enlarge every small picture of a set with a model and score the results against the originals.

    ``options`` sets where and how to compute (its ``model`` is not used); fp32 if not given. ``on_picture`` is
    called with (pictures done, pictures in all).

    Raises:
        InputError: the set cannot be used.
        ModelError: the model cannot be loaded.
    """
    settings, options = settings or EvaluateSettings(), options or ModelOptions(precision="fp32")
    cases = find_cases(dataset)
    upscaler = Upscaler(options, model=_loaded(model))
    judge, notes = _judge(settings, upscaler.device)
    scored = []
    for number, case in enumerate(cases, 1):
        scored.append(_score(case, upscaler, settings, judge))
        on_picture(number, len(cases))
    name = model if isinstance(model, str) else model.path.name
    return Evaluation(model=name, dataset=dataset, pictures=tuple(scored), notes=tuple(notes))


def _loaded(model: str | LoadedModel) -> LoadedModel:
    from vidsr.models.zoo import load_model

    return load_model(model) if isinstance(model, str) else model


def _judge(settings: EvaluateSettings, device: torch.device) -> tuple[Lpips | None, list[str]]:
    if not settings.lpips:
        return None, []
    try:
        return Lpips("alex").to(device), []
    except ModelError as error:
        return None, [f"LPIPS left out: {error}"]


def _score(case: Case, upscaler: Upscaler, settings: EvaluateSettings, judge: Lpips | None) -> Scored:
    high, low, scale = _read(case, settings.scale or upscaler.scale)
    size = (high.shape[1], high.shape[0])
    begin = time.perf_counter()
    result = upscaler.picture(low, size)
    seconds = time.perf_counter() - begin
    plain = resize_bicubic(_tensor(low), scale, size=high.shape[:2])
    border = scale if settings.border is None else settings.border
    plain = (plain.clamp(0, 1) * 255).round() / 255
    return Scored(
        name=case.name,
        width=size[0],
        height=size[1],
        scale=scale,
        seconds=seconds,
        model=dict(_scores(_tensor(result), _tensor(high), border, judge)),
        bicubic=dict(_scores(plain, _tensor(high), border, judge)),
    )


def _read(case: Case, scale: int) -> tuple[Rgb8, Rgb8, int]:
    """(original, small picture, scale); the original is cropped to a multiple of the scale."""
    high = _pixels(case.high)
    if case.low is None:
        rows, columns = (side - side % scale for side in high.shape[:2])
        if min(rows, columns) < 8 * scale:
            raise InputError(f"{case.high} is too small ({high.shape[1]}x{high.shape[0]}) to be reduced by {scale}")
        high = np.ascontiguousarray(high[:rows, :columns])
        small = resize_bicubic_uint8(torch.from_numpy(high).movedim(-1, 0), 1 / scale)
        return high, small.movedim(0, -1).contiguous().numpy(), scale
    low = _pixels(case.low)
    found = round(high.shape[0] / low.shape[0])
    if found < 1 or (low.shape[0] * found, low.shape[1] * found) != high.shape[:2]:
        raise InputError(
            f"{case.low} is {low.shape[1]}x{low.shape[0]} and {case.high.name} {high.shape[1]}x{high.shape[0]}: "
            "the original must be a whole number of times larger"
        )
    return high, low, found


def _pixels(path: Path) -> Rgb8:
    with mapped_errors(path, InputError, "cannot be read"), open_image(path) as image:
        picture: Image.Image = image
        return np.array(picture.convert("RGB"))


def _tensor(pixels: Rgb8) -> Tensor:
    return torch.from_numpy(pixels).movedim(-1, 0).unsqueeze(0).double() / 255


def _scores(result: Tensor, high: Tensor, border: int, judge: Lpips | None) -> Iterator[tuple[str, float]]:
    a, b = full_reference.shave(result, border), full_reference.shave(high, border)
    luma_a, luma_b = full_reference.luma601(a), full_reference.luma601(b)
    yield "psnr_y", min(full_reference.psnr(luma_a, luma_b).item(), PSNR_CAP)
    yield "ssim_y", full_reference.ssim(luma_a, luma_b).item()
    yield "psnr_rgb", min(full_reference.psnr(a, b).item(), PSNR_CAP)
    if judge is not None:
        with torch.inference_mode():
            yield "lpips", judge(result.float().to(judge.mean.device), high.float().to(judge.mean.device)).item()

"""Validation during training: whole pictures outside the training set, processed in tiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vidsr.errors import TrainingError
from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.quality.full_reference import luma601, psnr, shave, ssim
from vidsr.training.dataset.image_files import pictures_in, read_rgb
from vidsr.training.options import ValidationOptions

OVERLAP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A picture to measure on: low ``[1, 3, h, w]`` and high ``[1, 3, h·scale, w·scale]``, uint8."""

    name: str
    low: Tensor
    high: Tensor


def examples(options: ValidationOptions, scale: int) -> list[Example]:
    """The validation pictures: pairs ``*_HR.*``/``*_LR.*`` where there are any, else every picture, shrunk.

    Raises:
        TrainingError: the folder is missing or empty, or the sizes of a pair do not fit the scale.
        InputError: a picture cannot be read.
    """
    if not options.folder:
        return []
    folder = Path(options.folder).expanduser()
    found = pictures_in(folder) if folder.is_dir() else []
    high = [p for p in found if re.search(r"_HR$", p.stem)] or found
    if not high:
        raise TrainingError(f"[validation] folder {folder}: has no pictures")
    return [_example(path, scale) for path in high[: options.limit]]


def _example(path: Path, scale: int) -> Example:
    high = torch.from_numpy(read_rgb(path)).permute(2, 0, 1)
    twin = path.with_name(re.sub(r"_HR(?=\.[^.]+$)", "_LR", path.name))
    if twin != path and twin.is_file():
        low = torch.from_numpy(read_rgb(twin)).permute(2, 0, 1)
        if (low.shape[1] * scale, low.shape[2] * scale) != tuple(high.shape[1:]):
            raise TrainingError(
                f"{twin}: {low.shape[2]}x{low.shape[1]} times {scale} is not the {high.shape[2]}x{high.shape[1]} "
                f"of {path.name}"
            )
    else:
        high = high[:, : high.shape[1] // scale * scale, : high.shape[2] // scale * scale]
        low = resize_bicubic_uint8(high, 1 / scale)
    if min(low.shape[1:]) < 11:
        raise TrainingError(f"{path}: {low.shape[2]}x{low.shape[1]} px after shrinking is too small to measure on")
    return Example(name=path.stem, low=low[None], high=high[None])


@torch.no_grad()
def enlarge(network: nn.Module, low: Tensor, scale: int, tile: int) -> Tensor:
    """``[1, 3, h·s, w·s]`` in 0..1, on the CPU, of ``low`` uint8: in overlapping tiles, to bound memory."""
    device = next(network.parameters()).device
    height, width = low.shape[-2:]
    out = torch.empty(1, 3, height * scale, width * scale)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            y0, x0 = max(0, top - OVERLAP), max(0, left - OVERLAP)
            part = low[..., y0 : bottom + OVERLAP, x0 : right + OVERLAP].to(device).float() / 255
            result = network(part.contiguous(memory_format=torch.channels_last)).float().clamp(0, 1).cpu()
            inner = result[..., (top - y0) * scale : (bottom - y0) * scale, (left - x0) * scale : (right - x0) * scale]
            out[..., top * scale : bottom * scale, left * scale : right * scale] = inner
    return out


Distance = Callable[[Tensor, Tensor], Tensor]


def scores_of(result: Tensor, high: Tensor, scale: int, lpips: Distance | None) -> dict[str, float]:
    """psnr_y, ssim_y (BT.601 luma, ``scale`` pixels shaved) and, where asked, lpips (RGB, whole) of one picture.

    Both ``[1, 3, H, W]`` in 0..1; the result is rounded to 8 bit first, as a file would be.
    """
    result = (result * 255).round() / 255
    a, b = shave(luma601(result.double()), scale), shave(luma601(high.double()), scale)
    scores = {"psnr_y": float(psnr(a, b)), "ssim_y": float(ssim(a, b))}
    if lpips is not None:
        with torch.no_grad():
            scores["lpips"] = float(lpips(result, high))
    return scores


class Validation:
    """The examples, held in memory, and how they are measured."""

    def __init__(self, options: ValidationOptions, scale: int) -> None:
        self.examples = examples(options, scale)
        self._options, self._scale = options, scale
        self._lpips: Distance | None = None
        if options.lpips:
            from vidsr.quality.lpips import Lpips

            self._lpips = Lpips(options.lpips)  # type: ignore[arg-type]

    def dry_run(self, network: nn.Module) -> None:
        """Measure the largest picture once, so that a lack of memory shows before training, not hours into it.

        Raises:
            TrainingError: it does not fit into memory.
        """
        if not self.examples:
            return
        largest = max(self.examples, key=lambda e: e.high.numel())
        try:
            list(self._measure(network, [largest]))
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise TrainingError(
                f"validation of {largest.name} does not fit into memory: lower [validation] tile = {self._options.tile}"
            ) from error

    def run(self, network: nn.Module) -> tuple[dict[str, float], list[tuple[str, Tensor]]]:
        """Mean scores over all examples, and the first few results ``[3, H, W]`` in 0..1 to look at."""
        measured = list(self._measure(network, self.examples))
        names = measured[0][1] if measured else {}
        means = {name: sum(scores[name] for _, scores, _ in measured) / len(measured) for name in names}
        return means, [(example.name, result[0]) for example, _, result in measured[: self._options.pictures]]

    def _measure(self, network: nn.Module, these: list[Example]) -> Iterator[tuple[Example, dict[str, float], Tensor]]:
        training = network.training
        network.eval()
        try:
            for example in these:
                result = enlarge(network, example.low, self._scale, self._options.tile)
                yield example, scores_of(result, example.high.float() / 255, self._scale, self._lpips), result
        finally:
            network.train(training)

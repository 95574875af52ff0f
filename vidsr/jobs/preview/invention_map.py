"""What of a previewed frame was invented: its map, and its figures, from the two pictures of the preview alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vidsr.errors import InputError, OptionsError
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.compare.invention import FramePair
from vidsr.jobs.preview.preview import AFTER_NAME, SOURCE_NAME
from vidsr.models.zoo import FAITHFUL_MODEL
from vidsr.options.enhance_options import ModelOptions
from vidsr.quality.invention.error_model import shipped_model
from vidsr.quality.invention.evidence import evidence
from vidsr.quality.invention.overlay import layer_png
from vidsr.quality.invention.tally import FrameInvention, InventionTally
from vidsr.storage import write_atomically

MAP_NAME = "map.png"
#: Pixels of a source and of a result at most: 1920x1080 enlarged by four, with a little to spare.
_SOURCE_PX, _RESULT_PX = 2_200_000, 36_000_000
#: Two pictures whose aspect ratios differ by more than this do not show the same.
_ASPECT = 0.02


def map_preview(preview: Path, target: Path, device: str = "auto") -> dict[str, float]:
    """Measure the pictures in the folder of a preview, and write the map, a transparent PNG, to the folder ``target``.

    A single frame is measured, so that change along the motion says nothing here.

    Returns:
        Its figures, named as in the film's.

    Raises:
        InputError: the preview's pictures are missing.
        OptionsError: they are too large, or do not show the same.
    """
    source, result = (_picture(preview / name) for name in (SOURCE_NAME, AFTER_NAME))
    _check(source, result)
    with Upscaler(ModelOptions(model=FAITHFUL_MODEL, device=device)) as faithful, torch.inference_mode():
        pair = FramePair.of(source.to(faithful.device), result.to(faithful.device))
        enlarged = faithful(pair.source, (result.shape[-1], result.shape[-2]))
        error = shipped_model()(evidence(pair.result, pair.source, enlarged, None))
        write_atomically(target / MAP_NAME, layer_png(error.mean()))
        return InventionTally([FrameInvention.of(0.0, error, cut=False)]).film()


def _picture(path: Path) -> Tensor:
    """``[1, 3, H, W]``, RGB in 0..1."""
    try:
        with Image.open(path) as picture:
            codes = np.array(picture.convert("RGB"))
    except OSError as error:
        raise InputError("the pictures of this preview are gone; make the preview again") from error
    return torch.from_numpy(codes).movedim(-1, 0)[None].float() / 255


def _check(source: Tensor, result: Tensor) -> None:
    (h, w), (height, width) = source.shape[-2:], result.shape[-2:]
    if w * h > _SOURCE_PX or width * height > _RESULT_PX:
        raise OptionsError(
            f"a result of {width}x{height} from {w}x{h} is too large to be measured here; "
            "vidsr compare SOURCE RESULT --invention FILE measures finished results of any size"
        )
    if width < w or height < h:
        raise OptionsError("the result is smaller than its source: nothing finer was added")
    if abs(width / height / (w / h) - 1) > _ASPECT:
        raise OptionsError(f"the result is {width}x{height} and the source {w}x{h}: the two do not show the same")

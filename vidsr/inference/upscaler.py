"""Frames in, larger frames out: the inference part of one trip of a frame.

``Upscaler(options).stream(size, format)`` gives what the pipeline puts between its channels; ``.picture(rgb)``
enlarges a single picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.errors import OptionsError
from vidsr.frames import Colour, PixelFormat
from vidsr.inference.backend import Backend, Model
from vidsr.inference.backend_choice import choose_backend
from vidsr.inference.batches import InferenceStats
from vidsr.inference.device import choose_device, choose_precision
from vidsr.inference.device_copy import Transfer
from vidsr.inference.oom_ladder import Fitted
from vidsr.inference.regions import ChangedRegions
from vidsr.inference.resize import resize
from vidsr.inference.stream import PostStep, Stream, Target
from vidsr.models.checkpoint import require_rgb
from vidsr.models.known_architectures import architecture_of
from vidsr.options import ModelOptions

# Changed regions on CUDA: one size for all, because a graph is captured for each.
_REGION_TILE_PX = 256


class Upscaler:
    """A network on a device, ready for streams of frames and for single pictures.

    Args:
        options: which model, device, precision, batch and tile; see :class:`~vidsr.options.ModelOptions`. A
            string is the name or the file of a model, with all else as by default.
        model: a model that is loaded already, in place of the one that ``options`` names.
        post: steps after the network, in order.
        backend: an engine that holds the network already, in place of PyTorch's.

    Raises:
        ModelError: the model is unknown, or does not take and give three channels.
        OptionsError: the device is not here.
    """

    def __init__(
        self,
        options: ModelOptions | str | None = None,
        *,
        model: Model | None = None,
        post: Sequence[PostStep] = (),
        backend: Backend | None = None,
    ) -> None:
        if options is None or isinstance(options, str):
            options = ModelOptions(model=options) if options else ModelOptions()
        self.device = choose_device(options.device)
        self.model = model or _load(options)
        require_rgb(self.model.network, self.model.architecture)
        half = architecture_of(self.model.network).half
        self.precision = choose_precision(options.precision, self.device, half=half)
        self.scale = self.model.scale
        self.post = tuple(post)
        self.stats = InferenceStats()
        engine = backend or choose_backend(
            options.backend, self.model, self.device, self.precision, compiled=options.compile
        )
        self.fitted = Fitted(engine, self.model, self.device, options.batch, options.tile)
        self.fitted.notes = self.stats.notes
        self.reuse_threshold = options.reuse_threshold
        self._reuse_regions = options.reuse_regions

    def stream(self, size: tuple[int, int], out_format: PixelFormat, out_colour: Colour | None = None) -> Stream:
        """An ``Upscale`` to ``size`` = (width, height) in ``out_format`` and ``out_colour`` (the source's if None)."""
        for step in self.post:
            step.reset()
        target = Target(
            width=size[0],
            height=size[1],
            format=out_format,
            colour=out_colour,
            reuse_threshold=self.reuse_threshold,
        )
        network: Callable[[Tensor], Tensor] = self.fitted
        if self._reuse_regions:
            tile = _REGION_TILE_PX if self.device.type == "cuda" else None
            network = ChangedRegions(network, self.model, self.stats, self.reuse_threshold, tile)
        return Stream(network, self.fitted, self.post, self.stats, target, Transfer(self.device))

    @torch.inference_mode()
    def picture(self, picture: npt.NDArray[Any], size: tuple[int, int] | None = None) -> npt.NDArray[Any]:
        """Enlarge one picture ``[h, w, 3]`` or ``[h, w]`` (uint8, uint16, or float with white 1) as an array alike.

        ``size`` is (width, height) of the result, the model's own scale if None. Integers are rounded and
        clamped, floats are neither. No post step runs.

        Raises:
            OptionsError: the array is no picture of one of these kinds.
        """
        white = {"u1": 255.0, "u2": 65535.0, "f4": 1.0, "f8": 1.0}.get(picture.dtype.str[1:])
        if white is None or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
            raise OptionsError(
                f"a picture must be [h, w, 3] or [h, w] of uint8, uint16 or float, got {picture.shape} {picture.dtype}"
            )
        unit = torch.from_numpy(picture.astype(np.float32) / white).to(self.device)
        rgb = unit.movedim(-1, 0) if picture.ndim == 3 else unit.expand(3, -1, -1)
        out = self.fitted(rgb.unsqueeze(0).contiguous())
        if not bool(torch.isfinite(out).all()):
            self.stats.fp32_reruns += 1
            out = self.fitted.exact(rgb.unsqueeze(0).contiguous())
        if size is not None:
            out = resize(out, (size[1], size[0]))
        result = out[0].movedim(0, -1) if picture.ndim == 3 else out[0].mean(0)
        array: npt.NDArray[Any] = result.cpu().numpy() * white
        return array.astype(picture.dtype) if white == 1.0 else array.round().clip(0, white).astype(picture.dtype)


def _load(options: ModelOptions) -> Model:
    from vidsr.models.zoo import load_chosen

    return load_chosen(options)

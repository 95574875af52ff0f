"""The network on a device: arrays, tensors and pictures in, larger ones out; and streams of frames for the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.errors import CheckpointError, OptionsError
from vidsr.frames import Colour, FrameRange, PixelFormat
from vidsr.inference.backends.backend import Backend, Model
from vidsr.inference.backends.backend_choice import choose_backend
from vidsr.inference.batch_stages import BatchStages, PostStep, Target, rgb_on_device
from vidsr.inference.batches import InferenceStats
from vidsr.inference.device import DTYPES, choose_device, choose_precision, compute_exactly, release_cache
from vidsr.inference.device_copy import Transfer
from vidsr.inference.forms.graphed_steps import GraphedSteps
from vidsr.inference.forms.winograd_basicvsr import WinogradBasicVSR
from vidsr.inference.limits.held_to import HeldTo, ResultLimit
from vidsr.inference.limits.shared_results import SharedResults
from vidsr.inference.oom_ladder import Around, Fitted
from vidsr.inference.recurrent import Carrying, NeighbourMixer, NeighbourMixing, recurrent_form
from vidsr.inference.regions import ChangedRegions
from vidsr.inference.resize import resize
from vidsr.inference.stream import Stream
from vidsr.models.architectures.basicvsr import BasicVSR
from vidsr.models.checkpoint import require_rgb
from vidsr.models.known_architectures import architecture_of
from vidsr.options.enhance_options import ModelOptions

if TYPE_CHECKING:
    from PIL.Image import Image

_WHITE = {"u1": 255.0, "u2": 65535.0, "f4": 1.0, "f8": 1.0}
_PIL_MODES = ("RGB", "L", "I;16")
# Options that say nothing to the network that results are held to.
_OF_OTHER_MODELS = ("finish_within", "denoise_strength", "reuse_regions", "reuse_threshold")
# Changed regions on CUDA: one size for all, because a graph is captured for each.
_REGION_TILE_PX = 256
# Batches that a stream may be ahead of another one over the same frames: computed, being finished, waiting, and one.
_BATCHES_AHEAD = 4


class Upscaler:
    """A network on a device. Call it with pictures to enlarge them.

    >>> with Upscaler("realesr-animevideov3") as upscaler:  # doctest: +SKIP
    ...     larger = upscaler(array)

    It accepts and returns, at the model's scale or at ``size`` = (width, height):

    - numpy arrays [H, W, 3], [N, H, W, 3] (RGB) or [H, W] (grey): uint8 (white 255), uint16 (white 65535), float32 or
      float64 (white 1). Integers are rounded and clamped, floats are neither.
    - torch tensors [N, 3, H, W] or [3, H, W] (RGB): uint8 (white 255), float16, bfloat16, float32 or float64 (white 1).
      The result is on the tensor's own device, wherever the network runs; no gradients are recorded.
    - PIL pictures of mode RGB, L or I;16.

    Colours are taken as they are, in the source's own transfer characteristic. More pictures than fit in memory are
    computed in several steps, and a picture that does not fit in tiles. An Upscaler is not thread-safe.

    Args:
        options: which model, device, precision, batch and tile; see :class:`~vidsr.ModelOptions`. A string is the
            name or file of a model, with default options.
        model: a model that is already loaded, instead of the one that ``options`` names.
        post: steps after the network that :meth:`stream` applies, in order.
        backend: an engine that already holds the network, instead of the one that ``options`` names.
        multiframe: how :meth:`stream` mixes in what neighbouring frames show; ``vidsr.filters.after.multiframe``.
        carrying: makes of a network that takes its own last result one over the frames of a :meth:`stream`;
            ``vidsr.filters.after.last_result.LastResult``. Without it, and for single pictures, such a network sees
            each frame alone.
        limit: what every result is held to, right after the network and the resize; None leaves it as it is.
        alongside: the Upscaler of a second stream over the same frames, at the same time. Where its network is the one
            that ``limit`` holds results to, each frame goes through it once, on a CPU.

    Raises:
        ModelError: the model is unknown, or is not a network from RGB to RGB.
        OptionsError: the device is not available here, or changed regions are asked of a network whose results depend
            on earlier frames.
    """

    def __init__(
        self,
        options: ModelOptions | str | None = None,
        *,
        model: Model | None = None,
        post: Sequence[PostStep] = (),
        backend: Backend | None = None,
        multiframe: NeighbourMixing | None = None,
        carrying: Callable[[Callable[[Tensor], Tensor]], Carrying] | None = None,
        limit: ResultLimit | None = None,
        alongside: Upscaler | None = None,
    ) -> None:
        if options is None or isinstance(options, str):
            options = ModelOptions(model=options) if options else ModelOptions()
        self.device = choose_device(options.device)
        compute_exactly(self.device)
        self.model = model or _load(options)
        self.scale = self.model.scale
        self.options = options
        self._shared: SharedResults | None = None
        self._held_to = None if limit is None else self._hold(limit, options, alongside)
        require_rgb(self.model.network, self.model.architecture)
        half = architecture_of(self.model.network).half
        remembers = architecture_of(self.model.network).state_channels is not None
        if remembers and options.reuse_regions:
            raise OptionsError(
                f"--reuse-regions: every frame of a {self.model.architecture} depends on the one before it, also where "
                "nothing changed; leave the option out"
            )
        self._make_carrying = carrying if remembers else None
        self.precision = choose_precision(options.precision, self.device, half=half)
        self.post = tuple(post)
        self.stats = InferenceStats()
        engine = backend or choose_backend(
            options.backend, self.model, self.device, self.precision, compiled=options.compile
        )
        engine.notes = self.stats.notes
        around = _around(self.scale, self.post, self.device, limited=self._held_to is not None)
        self.fitted = Fitted(engine, self.model, self.device, options.batch, options.tile, around=around)
        about = " + ".join(type(step).__name__ for step in self.post) or "no steps"
        self.graphed = GraphedSteps(self.device, about, self.stats.notes) if self.device.type == "cuda" else None
        self.reuse_threshold = options.reuse_threshold
        self._reuse_regions = options.reuse_regions
        self._multiframe = multiframe
        self._recurrent = None if multiframe is None else self._load_recurrent(multiframe.model)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the network and its device memory. Using the Upscaler afterwards is a ValueError."""
        if self._closed:
            return
        self._closed = True
        self.fitted.backend.release()
        if self.graphed is not None:
            self.graphed.release()
        if self._held_to is not None:
            self._held_to.network.close()
        del self.model, self.fitted, self._recurrent, self._held_to
        release_cache(self.device)

    @overload
    def __call__(self, pictures: Tensor, size: tuple[int, int] | None = None) -> Tensor: ...
    @overload
    def __call__(self, pictures: npt.NDArray[Any], size: tuple[int, int] | None = None) -> npt.NDArray[Any]: ...
    @overload
    def __call__(self, pictures: Image, size: tuple[int, int] | None = None) -> Image: ...
    def __call__(
        self, pictures: Tensor | npt.NDArray[Any] | Image, size: tuple[int, int] | None = None
    ) -> Tensor | npt.NDArray[Any] | Image:
        """Enlarge pictures; see the class for the kinds, shapes and ranges.

        Raises:
            OptionsError: ``pictures`` is not of one of the kinds, shapes or types that the class lists.
            InferenceError: a picture could not be computed after every fallback.
        """
        if isinstance(pictures, Tensor):
            return self._tensor(pictures, size)
        if not isinstance(pictures, np.ndarray):
            return self._pil(pictures, size)
        if pictures.ndim != 4:
            return self.picture(pictures, size)
        if not len(pictures):
            raise OptionsError(f"a batch of pictures must not be empty, got {pictures.shape}")
        return np.stack([self.picture(picture, size) for picture in pictures])

    def _load_recurrent(self, name: str) -> BasicVSR | WinogradBasicVSR:
        from vidsr.models.zoo import ZOO, load_model

        model = load_model(name)
        if model.sha256 != ZOO[name].sha256 or not isinstance(model.network, BasicVSR):
            # A job refers to these weights by name alone.
            raise CheckpointError(f"{model.path}: these are not the weights of {name}; remove the file")
        return recurrent_form(model.network, self.device, DTYPES[self.precision])

    def _hold(self, limit: ResultLimit, options: ModelOptions, alongside: Upscaler | None) -> HeldTo | None:
        """The limit with its network; None where nothing is to be limited: the Upscaler's own network is that one, or
        becomes it because nothing else would be left."""
        from vidsr.models.zoo import ZOO, load_chosen

        named = replace(options, model=limit.model, finish_within=None, denoise_strength=None, backend="auto")
        model = load_chosen(named)
        if model.sha256 != ZOO[limit.model].sha256:
            # A job refers to these weights by name alone.
            raise CheckpointError(f"{model.path}: these are not the weights of {limit.model}; remove the file")
        if limit.is_total:
            self.model = model
        if getattr(self.model, "sha256", "") == model.sha256:
            return None
        if alongside is not None and alongside.is_like(named, model):
            return HeldTo(network=alongside.shared_results(), limit=limit)
        return HeldTo(network=Upscaler(named, model=model), limit=limit)

    def is_like(self, options: ModelOptions, model: Model) -> bool:
        """Whether an Upscaler of this model under these options would give the same results as this one, bit for bit,
        and both are on a CPU."""
        own = replace(options, **{name: getattr(self.options, name) for name in ("model", *_OF_OTHER_MODELS)})
        same = getattr(self.model, "sha256", "") == getattr(model, "sha256", None)
        alone = self._held_to is None and not self.options.reuse_regions
        return self.device.type == "cpu" and same and alone and own == self.options

    def shared_results(self) -> SharedResults:
        """This network for a stream alongside, whose results the streams of this Upscaler need not compute again."""
        if self._shared is None:
            fitted = self.fitted
            self._shared = SharedResults(self._finite, lambda high, wide: _BATCHES_AHEAD * fitted.batch_for(high, wide))
        return self._shared

    def stream(
        self,
        size: tuple[int, int],
        out_format: PixelFormat,
        out_colour: Colour | None = None,
        *,
        span: FrameRange | None = None,
    ) -> Stream:
        """What the pipeline runs: an iterator transformer from frames to as many larger frames, in the same order.

        Args:
            size: (width, height) of the results in pixels.
            out_format: pixel format of the results.
            out_colour: matrix, range and siting of the results; the source's if None.
            span: which frames come in and which of them are enlarged, where a recurrent network sees more of them;
                without one, the others are left out.
        """
        self._check_open()
        for step in self.post:
            step.reset()
        target = Target(width=size[0], height=size[1], format=out_format, colour=out_colour)
        network: Callable[[Tensor], Tensor] = self.fitted
        if self._reuse_regions:
            tile = _REGION_TILE_PX if self.device.type == "cuda" else None
            network = ChangedRegions(network, self.model, self.stats, self.reuse_threshold, tile)
        elif self._shared is not None:
            network = self._unless_shared
        transfer = Transfer(self.device)

        neighbours = None if span is None else self._neighbours(span, target, transfer)
        carrying = None if self._make_carrying is None else self._make_carrying(network)
        graphed, held_to = self.graphed, self._held_to
        stages = BatchStages(
            network, self.fitted, self.post, self.stats, target, transfer, neighbours, carrying, graphed, held_to
        )
        return Stream(stages, self.fitted, self.stats, transfer, self.reuse_threshold, neighbours, span)

    def _neighbours(self, span: FrameRange, target: Target, transfer: Transfer) -> NeighbourMixer | None:
        """What mixes in the neighbouring frames of one stream. It does not refer to the stream: a reference cycle
        would keep the last window of each segment until the garbage collector finds it."""
        if self._multiframe is None or self._recurrent is None:
            return None
        return self._multiframe.over(
            span,
            self._recurrent,
            DTYPES[self.precision],
            lambda frame: rgb_on_device(frame, transfer),
            target.sized,
            self.stats.spent_ahead,
            self.stats.neighbours.note,
        )

    @torch.inference_mode()
    def picture(self, picture: npt.NDArray[Any], size: tuple[int, int] | None = None) -> npt.NDArray[Any]:
        """Enlarge one array ``[H, W, 3]`` or ``[H, W]``, as calling the Upscaler does. No post step runs.

        Raises:
            OptionsError: the array does not have one of these shapes, or not a type that the class lists.
        """
        self._check_open()
        white = _WHITE.get(picture.dtype.str[1:])
        if white is None or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
            raise OptionsError(
                "a picture must be [H, W, 3] or [H, W], a batch [N, H, W, 3], of uint8, uint16 or float; "
                f"got {picture.shape} {picture.dtype}"
            )
        unit = torch.from_numpy(picture.astype(np.float32) / white).to(self.device)
        rgb = unit.movedim(-1, 0) if picture.ndim == 3 else unit.expand(3, -1, -1)
        out = self._enlarged(rgb.unsqueeze(0).contiguous(), size)
        result = out[0].movedim(0, -1) if picture.ndim == 3 else out[0].mean(0)
        array: npt.NDArray[Any] = result.cpu().numpy() * white
        return array.astype(picture.dtype) if white == 1.0 else array.round().clip(0, white).astype(picture.dtype)

    def _tensor(self, pictures: Tensor, size: tuple[int, int] | None) -> Tensor:
        self._check_open()
        if pictures.ndim not in (3, 4) or pictures.shape[-3] != 3 or 0 in pictures.shape:
            raise OptionsError(f"a tensor must be [N, 3, H, W] or [3, H, W], got {list(pictures.shape)}")
        if not (pictures.is_floating_point() or pictures.dtype == torch.uint8):
            raise OptionsError(f"a tensor must be uint8 or floating point, got {pictures.dtype}")
        with torch.inference_mode():
            rgb = pictures.to(self.device, torch.float32)
            if pictures.dtype == torch.uint8:
                rgb = rgb / 255
            out = self._enlarged(rgb.reshape(-1, *rgb.shape[-3:]).contiguous(), size)
            if pictures.dtype == torch.uint8:
                out = (out * 255).round().clamp(0, 255)
            out = out if pictures.ndim == 4 else out[0]
        # A copy, made outside inference mode: a tensor that autograd accepts.
        return out.to(pictures.device, pictures.dtype, copy=True)

    def _pil(self, picture: Image, size: tuple[int, int] | None) -> Image:
        from PIL import Image

        if not isinstance(picture, Image.Image):
            raise OptionsError(f"give a numpy array, a torch tensor or a PIL picture, got {type(picture).__name__}")
        if picture.mode not in _PIL_MODES:
            raise OptionsError(
                f"a PIL picture must be of mode {', '.join(_PIL_MODES)}, got {picture.mode}: use convert('RGB'), or "
                "vidsr.enhance on the file, which keeps alpha, inks and metadata"
            )
        return Image.fromarray(self.picture(np.asarray(picture), size))

    def _enlarged(self, rgb: Tensor, size: tuple[int, int] | None) -> Tensor:
        """``[N, 3, H, W]`` float32 through the network, in fp32 where half precision overflows, then to ``size``."""
        wide, high = size or (rgb.shape[-1] * self.scale, rgb.shape[-2] * self.scale)
        out = resize(self.enlarge(rgb), (high, wide))
        if self._held_to is None:
            return out
        return self._held_to(rgb, out, lambda supported: resize(supported, (high, wide)))

    def enlarge(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` float32 in 0..1 on the device at the network's own scale, in fp32 where half overflows."""
        # On a CPU picture by picture: its kernels sum in an order that depends on the batch size.
        singles = torch.split(rgb, 1) if self.device.type == "cpu" else (rgb,)
        return torch.cat([self._finite(one) for one in singles])

    def _unless_shared(self, rgb: Tensor) -> Tensor:
        known = None if self._shared is None else self._shared.take(rgb)
        return self.fitted(rgb) if known is None else known

    def _finite(self, rgb: Tensor) -> Tensor:
        out = self.fitted(rgb)
        if not bool(torch.isfinite(out).all()):
            self.stats.fp32_reruns += 1
            out = self.fitted.exact(rgb)
        return out

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("this Upscaler is closed")


def _around(scale: int, post: Sequence[PostStep], device: torch.device, *, limited: bool) -> Around:
    """Memory around the network on a GPU, where pictures of two batches are under way at once.

    Live bytes per *result* pixel on the simulated device of the tests, at their peak and while a network runs: 43 to 44
    and 20 without steps, 55 and 20 with the default ones, 110 and 45 with ``--stabilize`` as well. Grain, which the
    simulated device cannot draw, takes some 50 beyond the pictures under way, by the sizes of its tensors. The graph of
    the steps asks for its memory itself. A limit holds up to 50 planes of fp32.
    """
    if device.type == "cpu":
        return Around()
    more = 200.0 if limited else 0.0
    if not post:
        return Around(busy=(48.0 + more) * scale**2, waiting=20.0 * scale**2)
    if all(getattr(step, "stateless", False) and not getattr(step, "data_dependent", False) for step in post):
        return Around(busy=(60.0 + more) * scale**2, waiting=21.0 * scale**2)
    return Around(busy=(125.0 + more) * scale**2, waiting=46.0 * scale**2)


def _load(options: ModelOptions) -> Model:
    from vidsr.models.zoo import load_chosen

    return load_chosen(options)

"""Planes of code values to RGB and back, in float32 on the device.

The source's own matrix, range and chroma siting are used both ways (ITU-T H.273, tables 4 and 8.7; BT.601,
BT.709, BT.2020), and RGB is **not** clamped: super-white and out-of-gamut colours pass through; only the final
code values are. RGB stays in the source's transfer characteristic (nothing is linearised), 0 black to 1 white.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.errors import InferenceError
from vidsr.frames import LUMA_WEIGHTS, Colour, Frame, PixelFormat, Plane, luma_weights
from vidsr.inference import chroma
from vidsr.native import pictures

# Deeper results are not dithered: their steps are far below what is visible or survives encoding.
_DITHER_MAX_DEPTH = 12
# Just under half a code value, so that a whole code value stays the same.
_DITHER_AMPLITUDE = 0.5 - 1 / 64


def rgb_from_planes(planes: Sequence[Tensor], pixel_format: PixelFormat, colour: Colour) -> Tensor:
    """RGB ``[N, 3, H, W]`` float32, not clamped, from planes ``[N, h, w]`` of code values (any integer dtype).

    Grey is repeated to three channels. An alpha plane is ignored here; see :func:`unit_from_codes`.

    Raises:
        InferenceError: the colour matrix is not one that vidsr converts.
    """
    if pixel_format.family == "gray":
        return unit_from_codes(planes[0], pixel_format, colour).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()
    if pixel_format.family == "rgb":
        green, blue, red = (unit_from_codes(p, pixel_format, colour) for p in planes[:3])
        return torch.stack((red, green, blue), 1)
    made = _native_rgb(planes, pixel_format, colour)
    if made is not None:
        return made
    luma = unit_from_codes(planes[0], pixel_format, colour)
    size = (luma.shape[-2], luma.shape[-1])
    gbr = colour.matrix == "gbr"
    others = [
        chroma.upsample(_units(p, pixel_format, colour, is_chroma=not gbr), size, colour.chroma_location)
        for p in planes[1:3]
    ]
    matrix = _matrix_on(colour.matrix, str(luma.device))
    return torch.einsum("ij,njhw->nihw", matrix, torch.stack((luma, *others), 1))


def _native_rgb(planes: Sequence[Tensor], pixel_format: PixelFormat, colour: Colour) -> Tensor | None:
    """RGB of Y, Cb and Cr by the C kernels, each picture in one pass; None where they cannot do it."""
    if planes[0].device.type != "cpu":
        return None
    gbr = colour.matrix == "gbr"
    horizontal, vertical = chroma.positions(colour.chroma_location)
    return pictures.read(
        planes[:3],
        matrix=_matrix_on(colour.matrix, "cpu").flatten().tolist(),
        scales=[_code_scale(pixel_format, colour, i > 0 and not gbr) for i in range(3)],
        log2_chroma=(pixel_format.log2_chroma_h, pixel_format.log2_chroma_w),
        positions=(vertical, horizontal),
    )


def rgb_of(frame: Frame) -> Tensor:
    """RGB ``[1, 3, H, W]`` float32 of a frame, not clamped, by its own matrix, range and chroma siting; on the CPU."""
    planes = [torch.from_numpy(_copied(plane))[None] for plane in frame.planes]
    return rgb_from_planes(planes, frame.format, frame.colour)


def _copied(plane: Plane) -> npt.NDArray[Any]:
    """A plane as :func:`rgb_from_planes` takes it; 16 bits as int16 that holds them."""
    codes = np.array(plane)
    return codes.view(np.int16) if codes.dtype == np.uint16 else codes


def rgb8_of(frame: Frame) -> npt.NDArray[np.uint8]:
    """RGB ``[H, W, 3]`` uint8 of a frame, clamped, for pictures that people look at and for datasets."""
    codes = (rgb_of(frame)[0] * 255).round().clamp(0, 255).to(torch.uint8)
    array: npt.NDArray[np.uint8] = codes.movedim(0, -1).contiguous().numpy()
    return array


def planes_from_rgb(rgb: Tensor, pixel_format: PixelFormat, colour: Colour, *, exact: bool = False) -> list[Tensor]:
    """Code values ``[N, h, w]`` (uint8, or int16 that holds the bits of uint16) from RGB ``[N, 3, H, W]`` float32.

    Fractions are spread by an ordered dither that depends on the position and the plane alone, so that equal
    frames give equal results, and a still picture stays still. ``exact`` makes chroma downsampling the inverse
    of the upsampling: for pictures of the source's own size. Alpha is not made here.

    Raises:
        InferenceError: the colour matrix is not one that vidsr converts.
    """
    family = pixel_format.family
    if family == "rgb":
        return [_codes(rgb[:, c], pixel_format, colour, plane=i) for i, c in enumerate((1, 2, 0))]
    gbr = colour.matrix == "gbr"
    forward = _matrix_on(colour.matrix, str(rgb.device), inverse=True)
    if family == "gray":
        weights = forward[0] if not gbr else _rec709_luma(str(rgb.device))
        return [_codes(torch.einsum("j,njhw->nhw", weights, rgb), pixel_format, colour, plane=0)]
    log2 = (pixel_format.log2_chroma_h, pixel_format.log2_chroma_w)
    if max(log2) == 0 or not exact:
        made = _native_planes(rgb, pixel_format, colour, log2)
        made = _gpu_planes(rgb, pixel_format, colour, log2) if made is None else made
        if made is not None:
            return made
    yuv = torch.einsum("ij,njhw->nihw", forward, rgb)
    small = [chroma.downsample(yuv[:, i], log2, colour.chroma_location, exact=exact) for i in (1, 2)]
    return [
        _codes(yuv[:, 0], pixel_format, colour, plane=0),
        *(_codes(c, pixel_format, colour, plane=i + 1, is_chroma=not gbr) for i, c in enumerate(small)),
    ]


def _native_planes(
    rgb: Tensor, pixel_format: PixelFormat, colour: Colour, log2: tuple[int, int]
) -> list[Tensor] | None:
    """Y, Cb and Cr by the C kernels, each picture in one pass; None where they cannot do it."""
    if rgb.device.type != "cpu":
        return None
    height, width = rgb.shape[-2:]
    small = (-(-height // (1 << log2[0])), -(-width // (1 << log2[1])))
    sizes = [(height, width), small, small]
    deep = pixel_format.depth > 8
    planes = [torch.empty((len(rgb), *size), dtype=torch.int16 if deep else torch.uint8) for size in sizes]
    gbr = colour.matrix == "gbr"
    scales = [_code_scale(pixel_format, colour, i > 0 and not gbr) for i in range(3)]
    dithered = pixel_format.depth <= _DITHER_MAX_DEPTH
    spread = [dither(*size, i, "cpu") for i, size in enumerate(sizes)] if dithered else []
    horizontal, vertical = chroma.positions(colour.chroma_location)
    for number, picture in enumerate(rgb):
        done = pictures.converted(
            picture,
            [plane[number] for plane in planes],
            matrix=_matrix_on(colour.matrix, "cpu", inverse=True).flatten().tolist(),
            scales=scales,
            most=pixel_format.max_code,
            dither=spread,
            log2_chroma=log2,
            positions=(vertical, horizontal),
        )
        if not done:
            return None
    return planes


def _gpu_planes(rgb: Tensor, pixel_format: PixelFormat, colour: Colour, log2: tuple[int, int]) -> list[Tensor] | None:
    """Y, Cb and Cr on a GPU in few passes; None on a CPU, and for formats other than 4:2:0 of the usual sitings.

    Matrix and range are one product; for chroma, that and the halving are one convolution. Offset, dither and the half
    by which a conversion to integers rounds are one picture that is added.
    """
    height, width = rgb.shape[-2:]
    horizontal, vertical = chroma.positions(colour.chroma_location)
    usual = horizontal in ("first", "middle") and vertical == "middle"
    if rgb.device.type == "cpu" or log2 != (1, 1) or not usual or height % 2 or width % 2:
        return None
    device, gbr = str(rgb.device), colour.matrix == "gbr"
    scales = tuple(_code_scale(pixel_format, colour, i > 0 and not gbr) for i in range(3))
    luma, kernels = _weighing(colour.matrix, tuple(factor for factor, _ in scales), horizontal, device)
    light = torch.matmul(luma.view(1, 1, 3), rgb.flatten(2)).view(len(rgb), height, width)
    small = F.conv2d(rgb, kernels, stride=2, padding=(0, 1 if horizontal == "first" else 0))
    if horizontal == "first":  # the sample left of the first is the one right of it
        small[..., :1] += F.conv2d(rgb[..., 1:2], kernels[..., :1], stride=(2, 1))
    offsets = [offset for _, offset in scales]
    return [
        _stored(picture, pixel_format, offset, plane)
        for plane, (picture, offset) in enumerate(zip((light, small[:, 0], small[:, 1]), offsets, strict=True))
    ]


@lru_cache(maxsize=16)
def _weighing(
    matrix: str, factors: tuple[float, ...], horizontal: chroma.Position, device: str
) -> tuple[Tensor, Tensor]:
    """What R, G and B weigh in code values of luma ``[3]``, and of chroma halved both ways ``[2, 3, 2, 2 or 3]``."""
    weights = torch.linalg.inv(rgb_matrix(matrix).double()) * torch.tensor(factors, dtype=torch.float64)[:, None]
    across = torch.tensor([0.25, 0.5, 0.25] if horizontal == "first" else [0.5, 0.5], dtype=torch.float64)
    halving = torch.stack((across, across)) / 2
    return weights[0].float().to(device), (weights[1:, :, None, None] * halving).float().to(device)


def _stored(code: Tensor, pixel_format: PixelFormat, offset: float, plane: int) -> Tensor:
    """Code values without their offset ``[N, h, w]`` as they are stored; may write into ``code``."""
    spread = _rounding(code.shape[-2], code.shape[-1], plane, offset, pixel_format.depth, str(code.device))
    code = (code + spread).clamp_(0, pixel_format.max_code)
    return code.to(torch.uint8) if pixel_format.depth <= 8 else code.to(torch.int32).to(torch.int16)


@lru_cache(maxsize=8)
def _rounding(height: int, width: int, plane: int, offset: float, depth: int, device: str) -> Tensor:
    """What is added before a conversion to integers, which drops fractions: offset, half a code value, dither."""
    if depth > _DITHER_MAX_DEPTH:
        return torch.full((1, 1), offset + 0.5).to(device)
    return (dither(height, width, plane, "cpu") + (offset + 0.5)).to(device)


def unit_from_codes(plane: Tensor, pixel_format: PixelFormat, colour: Colour, *, alpha: bool = False) -> Tensor:
    """Luma, R, G or B code values ``[N, h, w]`` as float32, black 0 and white 1; alpha is always full range."""
    return _units(plane, pixel_format, colour if not alpha else _FULL, is_chroma=False)


def alpha_codes(unit: Tensor, pixel_format: PixelFormat) -> Tensor:
    """Alpha 0..1 as full-range code values, rounded and clamped: uint8, or int16 holding the bits of uint16.

    Not dithered: alpha that is stored with more bits than its source has must come back to the source's code values,
    whether a reader rounds them or drops the lowest bits.
    """
    return _codes(unit, pixel_format, _FULL, plane=None)


_FULL = Colour(range="full")


@lru_cache(maxsize=16)
def rgb_matrix(name: str) -> Tensor:
    """The 3×3 float32 matrix from (Y, Cb, Cr), Y in 0..1 and chroma in ±0.5, to (R, G, B).

    Source: ITU-T H.273, equations 38 to 58 and table 4; YCgCo as in its equations 59 to 62. For "gbr" the three
    planes are G, B, R.

    Raises:
        InferenceError: the matrix is not one that vidsr converts.
    """
    if name == "gbr":
        return torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    if name == "ycgco":
        return torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]])
    if name not in LUMA_WEIGHTS:
        known = ", ".join([*LUMA_WEIGHTS, "gbr", "ycgco"])
        raise InferenceError(f"colour matrix {name!r} cannot be converted (known: {known}); set --input-matrix")
    kr, kb = LUMA_WEIGHTS[name]
    kg = 1 - kr - kb
    return torch.tensor(
        [
            [1.0, 0.0, 2 * (1 - kr)],
            [1.0, -2 * (1 - kb) * kb / kg, -2 * (1 - kr) * kr / kg],
            [1.0, 2 * (1 - kb), 0.0],
        ]
    )


@lru_cache(maxsize=64)
def _matrix_on(name: str, device: str, *, inverse: bool = False) -> Tensor:
    """:func:`rgb_matrix`, or its inverse, kept on a device: copying it there each time would wait for the device."""
    matrix = rgb_matrix(name)
    return (torch.linalg.inv(matrix.double()).float() if inverse else matrix).to(device)


@lru_cache(maxsize=16)
def _rec709_luma(device: str) -> Tensor:
    return torch.tensor(luma_weights("bt709")).to(device)


def _code_scale(pixel_format: PixelFormat, colour: Colour, is_chroma: bool) -> tuple[float, float]:
    """(factor, offset): code = unit · factor + offset. H.273, equations 17 to 32."""
    depth = pixel_format.depth
    if colour.range == "full":
        return float(pixel_format.max_code), float(1 << (depth - 1)) if is_chroma else 0.0
    step = float(1 << (depth - 8))
    return (224 * step, 128 * step) if is_chroma else (219 * step, 16 * step)


def _units(plane: Tensor, pixel_format: PixelFormat, colour: Colour, *, is_chroma: bool) -> Tensor:
    if plane.dtype == torch.int16:  # the bits of uint16
        plane = plane.to(torch.int32) & 0xFFFF
    factor, offset = _code_scale(pixel_format, colour, is_chroma)
    return (plane.to(torch.float32) - offset) / factor


def _codes(
    unit: Tensor, pixel_format: PixelFormat, colour: Colour, *, plane: int | None, is_chroma: bool = False
) -> Tensor:
    factor, offset = _code_scale(pixel_format, colour, is_chroma)
    code = unit * factor + offset
    if plane is not None and pixel_format.depth <= _DITHER_MAX_DEPTH:
        code = code + dither(code.shape[-2], code.shape[-1], plane, str(code.device))
    code = code.round_().clamp_(0, pixel_format.max_code)
    if pixel_format.depth <= 8:
        return code.to(torch.uint8)
    return code.to(torch.int32).to(torch.int16)


@lru_cache(maxsize=8)
def dither(height: int, width: int, plane: int, device: str) -> Tensor:
    """Ordered dither ``[height, width]`` in ±0.484 code values, with a flat spread and little low-frequency power.

    A plane of the additive recurrence R2 (Roberts, "The unreasonable effectiveness of quasirandom sequences",
    2018), shifted per plane, computed in float64 on the CPU so that every device gets the same.
    """
    rows = torch.arange(height, dtype=torch.float64).unsqueeze(1)
    columns = torch.arange(width, dtype=torch.float64)
    phase = rows * 0.5698402909980532 + columns * 0.7548776662466927 + 0.25 * plane
    return ((phase.frac() - 0.5) * (2 * _DITHER_AMPLITUDE)).to(torch.float32).to(device)

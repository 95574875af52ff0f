"""From the names and shapes of a checkpoint's tensors to an architecture, its hyper-parameters and one key layout.

The one layout that vidsr works with is BasicSR's (``conv_first``, ``body.0.rdb1.conv1`` …). Others are renamed to
it: the first ESRGAN code's numbered ``model.N`` and the later ``RRDB_trunk`` names (also BSRGAN and RealSR).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vidsr.errors import CheckpointError
from vidsr.models.architectures.rrdbnet import RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompactConfig

State = dict[str, Tensor]
SUPPORTED = "RRDBNet (ESRGAN, BSRGAN, RealSR, Real-ESRGAN) and SRVGGNetCompact"

# Where trainers put the weights inside a checkpoint, best first: the running average is what authors publish.
_WRAPPERS = ("params_ema", "params", "state_dict")

# Telltale names of networks that people try here, for an error that says what the file is.
_STRANGERS = {
    "ESRGAN+ (nESRGAN+)": r"\bconv1x1\b",
    "a transformer of the SwinIR family": r"residual_group|relative_position_bias_table|attn\.qkv",
    "an image classifier or feature network (VGG, AlexNet)": r"^features\.\d+\.(weight|bias)$",
    "a face restorer (GFPGAN)": r"stylegan_decoder|style_mlp",
    "a discriminator": r"weight_orig$|^conv0_0\.|^linear1\.",
    "a diffusion model": r"diffusion_model|first_stage_model",
    "SPAN": r"block_\d\.c1_r",
}

_RDB = re.compile(r"\.[Rr][Dd][Bb]([123])\.conv([1-5])(?:\.0)?\.(weight|bias)$")


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a checkpoint turned out to be; ``state`` has BasicSR's names, and dtypes as stored."""

    architecture: str
    config: RRDBNetConfig | SRVGGNetCompactConfig
    layout: str
    state: State


def unwrap(loaded: Any) -> State:
    """The tensors of a loaded checkpoint: out of their wrapper, without a ``module.`` prefix.

    Raises:
        CheckpointError: there is no mapping of names to tensors in it.
    """
    inner = loaded
    for _ in range(2):
        if isinstance(inner, Mapping):
            inner = next((inner[key] for key in _WRAPPERS if isinstance(inner.get(key), Mapping)), inner)
    if not isinstance(inner, Mapping) or not any(isinstance(v, Tensor) for v in inner.values()):
        raise CheckpointError(f"it holds {_outline(loaded)}, and no table of weights; a model file was expected")
    tensors = {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def recognise(tensors: State, card: Mapping[str, str] | None = None) -> Recognised:
    """Tell architecture and hyper-parameters from names and shapes, and rename the tensors.

    ``card`` is the file's own metadata; only an SRVGGNetCompact without PReLU slopes needs it, for its activation.

    Raises:
        CheckpointError: the architecture is not supported, or tensors are missing or of impossible shapes.
    """
    if any("conv1x1" in key for key in tensors):
        raise CheckpointError(
            f"this is an ESRGAN+ model (it has conv1x1 layers), which is not supported; vidsr runs {SUPPORTED}"
        )
    if "conv_first.weight" in tensors and any(key.startswith("body.0.rdb1.") for key in tensors):
        return _rrdb(dict(tensors), "BasicSR")
    if "conv_first.weight" in tensors and any(key.startswith("RRDB_trunk.0.") for key in tensors):
        return _rrdb(_rename(tensors, _from_new), "new ESRGAN")
    if "model.0.weight" in tensors and any(key.startswith("model.1.sub.0.RDB1.") for key in tensors):
        return _rrdb(_rename(tensors, _old_names(tensors)), "old ESRGAN")
    if "body.0.weight" in tensors and all(re.fullmatch(r"body\.\d+\.(weight|bias)", key) for key in tensors):
        return _srvgg(dict(tensors), card or {})
    raise CheckpointError(f"unknown architecture: {_stranger(tensors)}; vidsr runs {SUPPORTED}")


def _outline(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        names = ", ".join(repr(str(k)) for k in list(loaded)[:4])
        return f"a dictionary with {names or 'nothing'}{' …' if len(loaded) > 4 else ''}"
    return f"a {type(loaded).__name__}"


def _stranger(tensors: Iterable[str]) -> str:
    for what, pattern in _STRANGERS.items():
        if any(re.search(pattern, key) for key in tensors):
            return f"the names look like {what}"
    names = sorted(tensors)
    return f"its {len(names)} tensors have names like {', '.join(names[:3])}"


def _rename(tensors: State, rename: Any) -> State:
    return {rename(key): value for key, value in tensors.items()}


def _from_new(key: str) -> str:
    key = _RDB.sub(r".rdb\1.conv\2.\3", key.replace("RRDB_trunk.", "body.", 1))
    key = re.sub(r"^upconv(\d)\.", r"conv_up\1.", key)
    return key.replace("trunk_conv.", "conv_body.", 1).replace("HRconv.", "conv_hr.", 1)


def _old_names(tensors: State) -> Any:
    """A renaming for the numbered layout: up convolutions at 3k, HR at the last up + 2, last at + 4."""
    numbers = sorted({int(m[1]) for key in tensors if (m := re.fullmatch(r"model\.(\d+)\.weight", key))})
    tops = {f"model.{number}": "conv_first" for number in numbers[:1]}
    ups = [n for n in numbers[1:-2] if n % 3 == 0]
    if len(numbers) < 3 or ups != [3 * k for k in range(1, len(numbers) - 2)]:
        raise CheckpointError(
            f"an old ESRGAN layout with convolutions at model.{numbers}, which is not one of its forms"
        )
    tops |= {f"model.{n}": f"conv_up{k}" for k, n in enumerate(ups, 1)}
    tops |= {f"model.{numbers[-2]}": "conv_hr", f"model.{numbers[-1]}": "conv_last"}

    def rename(key: str) -> str:
        inner = re.match(r"model\.1\.sub\.(\d+)\.(.*)$", key)
        if inner and _RDB.search(key):
            return _RDB.sub(r".rdb\1.conv\2.\3", f"body.{inner[1]}.{inner[2]}")
        if inner:
            return f"conv_body.{inner[2]}"
        top, _, rest = key.rpartition(".")
        return f"{tops.get(top, top)}.{rest}"

    return rename


def _rrdb(state: State, layout: str) -> Recognised:
    blocks = {int(m[1]) for key in state if (m := re.match(r"body\.(\d+)\.rdb", key))}
    ups = {int(m[1]) for key in state if (m := re.match(r"conv_up(\d+)\.weight", key))}
    first, last = state["conv_first.weight"], _need(state, "conv_last.weight")
    dense = _need(state, f"body.{min(blocks, default=0)}.rdb1.conv1.weight")
    if {first.ndim, last.ndim, dense.ndim} != {4} or ups != set(range(1, len(ups) + 1)):
        raise CheckpointError("an RRDBNet whose convolutions are not 3x3 two-dimensional ones, or are not all there")
    out = last.shape[0]
    folding = {4: 2, 16: 4}.get(first.shape[1] // out, 1) if first.shape[1] % out == 0 else 1
    scale = 2 ** len(ups) // folding
    if scale not in (1, 2, 4, 8):
        raise CheckpointError(
            f"an RRDBNet with {len(ups)} upsampling steps after folding by {folding}, which is none of x1, x2, x4, x8"
        )
    config = RRDBNetConfig(
        in_channels=first.shape[1] // folding**2,
        out_channels=out,
        num_feat=first.shape[0],
        num_block=len(blocks),
        num_grow_ch=dense.shape[0],
        scale=scale,
        folding=None if folding == RRDBNetConfig(scale=scale).unshuffle else folding,
    )
    return Recognised("RRDBNet", config, layout, state)


def _need(state: State, key: str) -> Tensor:
    if key not in state:
        raise CheckpointError(f"the tensor {key} is missing: the file is incomplete")
    return state[key]


def _srvgg(state: State, card: Mapping[str, str]) -> Recognised:
    weights = {int(m[1]): t for key, t in state.items() if (m := re.fullmatch(r"body\.(\d+)\.weight", key))}
    convs = [weights[i] for i in sorted(weights) if weights[i].ndim == 4]
    prelu = any(t.ndim == 1 for t in weights.values())
    if len(convs) < 2 or any(t.ndim not in (1, 4) for t in weights.values()):
        raise CheckpointError(f"unknown architecture: {_stranger(state)}; vidsr runs {SUPPORTED}")
    channels = convs[0].shape[1]
    scale = math.isqrt(convs[-1].shape[0] // channels)
    if convs[-1].shape[0] != channels * scale**2 or scale not in (1, 2, 3, 4, 8):
        raise CheckpointError(
            f"an SRVGGNetCompact whose last convolution has {convs[-1].shape[0]} outputs for {channels} channels: "
            "expected channels times the square of the scale"
        )
    activation = "prelu" if prelu else card.get("activation", card.get("act_type", ""))
    if activation not in ("prelu", "relu", "leakyrelu"):
        raise CheckpointError(
            "an SRVGGNetCompact without PReLU slopes: whether it uses ReLU or leaky ReLU cannot be told from its "
            "tensors; a safetensors file may say so in its metadata, activation=relu or leakyrelu"
        )
    config = SRVGGNetCompactConfig(
        in_channels=channels,
        out_channels=channels,
        num_feat=convs[0].shape[0],
        num_conv=len(convs) - 2,
        scale=scale,
        activation=activation,  # type: ignore[arg-type]  # checked just above
    )
    return Recognised("SRVGGNetCompact", config, "BasicSR", state)

"""From a loaded file to an architecture: unwraps the table of tensors, asks each descriptor, and says what an
unknown file looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from vidsr.errors import CheckpointError
from vidsr.models.architecture import NcnnLayer, Recognised, State
from vidsr.models.known_architectures import ARCHITECTURES

# Where trainers put the weights inside a checkpoint, best first: the running average is what authors publish.
_WRAPPERS = ("params_ema", "params", "state_dict")

# Telltale names of networks that people try here, so that the error can name the file's kind.
_FOREIGN = {
    "ESRGAN+ (nESRGAN+)": r"[Rr][Dd][Bb]\d\.conv1x1\b",
    "a transformer of the SwinIR family": r"residual_group|relative_position_bias_table|attn\.qkv",
    "an image classifier or feature network (VGG, AlexNet)": r"^features\.\d+\.(weight|bias)$",
    "a face restorer (GFPGAN)": r"stylegan_decoder|style_mlp",
    "a discriminator": r"weight_orig$|^conv0_0\.|^linear1\.",
    "a diffusion model": r"diffusion_model|first_stage_model",
    "SPAN": r"block_\d\.c1_r",
}


def supported() -> str:
    """The architectures by name, for messages."""
    names = [a.known_as for a in ARCHITECTURES.values()]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def unwrap(loaded: Any) -> State:
    """The tensors of a loaded checkpoint: out of their wrapper, without a ``module.`` prefix.

    Raises:
        CheckpointError: it holds no mapping of names to tensors.
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
    """Find architecture and hyper-parameters from names and shapes, and rename the tensors to the network's names.

    ``card`` is the file's own metadata, for what shapes do not show (the activation of some SRVGGNetCompact).

    Raises:
        CheckpointError: the architecture is not supported, or tensors are missing or have impossible shapes.
    """
    if any(re.search(_FOREIGN["ESRGAN+ (nESRGAN+)"], key) for key in tensors):
        raise CheckpointError(
            f"this is an ESRGAN+ model (it has conv1x1 layers), which is not supported; vidsr runs {supported()}"
        )
    for architecture in ARCHITECTURES.values():
        found = architecture.recognise(tensors, card or {})
        if found is not None:
            return found
    raise CheckpointError(f"unknown architecture: {_foreign(tensors)}; vidsr runs {supported()}")


def ncnn_state(layers: Sequence[NcnnLayer], weights: Sequence[tuple[Tensor, Tensor | None]]) -> State:
    """The (weight, bias) pairs of an ncnn file under the names of the architecture that its layers belong to.

    Raises:
        CheckpointError: no architecture has such layers.
    """
    for architecture in ARCHITECTURES.values():
        names = architecture.ncnn_names(layers, len(weights)) if architecture.ncnn_names else None
        if names is not None:
            break
    else:
        raise CheckpointError(f"an ncnn network with {len(weights)} convolutions, which no known architecture has")
    state = {}
    for name, (weight, bias) in zip(names, weights, strict=True):
        state[f"{name}.weight"] = weight
        if bias is not None:
            state[f"{name}.bias"] = bias
    return state


def _outline(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        names = ", ".join(repr(str(k)) for k in list(loaded)[:4])
        return f"a dictionary with {names or 'nothing'}{' …' if len(loaded) > 4 else ''}"
    return f"a {type(loaded).__name__}"


def _foreign(tensors: Iterable[str]) -> str:
    for what, pattern in _FOREIGN.items():
        if any(re.search(pattern, key) for key in tensors):
            return f"the names look like {what}"
    names = sorted(tensors)
    return f"its {len(names)} tensors have names like {', '.join(names[:3])}"

"""From a weights file to a network that is ready to run, or to one clear reason why it cannot run.

Reads .safetensors, PyTorch's .pth (always with ``weights_only=True``, so no code in it ever runs) and
ncnn's .param + .bin. The first bytes show the kind of file; names and shapes of the tensors show
the architecture.
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from vidsr.errors import CheckpointError, ModelError
from vidsr.models import ncnn_format, recognition
from vidsr.models.architecture import Config, Recognised
from vidsr.models.known_architectures import ARCHITECTURES, architecture_of
from vidsr.storage import sha256_of

FORMATS = ".safetensors, .pth, and ncnn's .param with its .bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A network read from a file: fp32, on the CPU, in eval mode, without gradients.

    ``sha256`` is the digest of the file (of the ``.bin`` of an ncnn pair); ``card`` is the metadata that the file
    carries about itself; ``layout`` names the key layout that was found. A model blended of two has the digest of
    both and of the share, and ``blended_with`` is the second file.
    """

    network: nn.Module
    architecture: str
    config: Any
    scale: int
    sha256: str
    path: Path
    card: dict[str, str]
    layout: str
    blended_with: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that another machine needs to load the same model, the one to name first."""
        named = [self.path] if self.blended_with is None else [self.path, self.blended_with]
        pairs = [(path, path.with_suffix(".bin")) if path.suffix == ".param" else (path,) for path in named]
        return tuple(file for pair in pairs for file in pair)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.network.parameters())


def load(path: Path) -> LoadedModel:
    """Read a weights file.

    Raises:
        CheckpointError: the file is missing, no model, truncated, of an unknown architecture, or carries code.
    """
    found, card = read(path)
    network = ARCHITECTURES[found.architecture].build(found.config)
    try:
        network.load_state_dict({k: v.to(torch.float32) for k, v in found.state.items()}, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {_mismatch(network, found.state)}") from error
    return LoadedModel(
        network=network.eval().requires_grad_(False),
        architecture=found.architecture,
        config=found.config,
        scale=found.config.scale,
        sha256=digest(path),
        path=path,
        card=card,
        layout=found.layout,
    )


def require_rgb(network: nn.Module, name: str) -> None:
    """Refuse a network that does not map one RGB picture to one, since it cannot enlarge video frame by frame.

    Raises:
        ModelError: it has another number of channels than three, or works on sequences.
    """
    if architecture_of(network).recurrent:
        raise ModelError(f"{name}: this network works on sequences of frames and cannot enlarge single ones")
    config: Config | None = getattr(network, "config", None)
    channels = (3, 3) if config is None else (config.in_channels, config.out_channels)
    if channels != (3, 3):
        raise ModelError(
            f"{name}: this network takes {channels[0]} channels and gives {channels[1]}; "
            "only models from RGB to RGB can enlarge video"
        )


def read(path: Path) -> tuple[Recognised, dict[str, str]]:
    """The recognised weights of a file, dtypes as stored, and its metadata.

    Raises:
        CheckpointError: as :func:`load`.
    """
    try:
        tensors, card = read_tensors(path)
        found = recognition.recognise(tensors, card)
        bad = next((k for k, v in found.state.items() if v.is_floating_point() and not v.isfinite().all()), None)
        if bad is not None:
            raise CheckpointError(f"the tensor {bad} holds values that are not finite: the weights are spoiled")
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return found, card


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The plain tensors of a file of any supported format, names as stored, and its metadata.

    Raises:
        CheckpointError: the file is missing, no weights file, truncated, or carries code.
    """
    if not path.is_file():
        raise CheckpointError("it is a folder, not a weights file" if path.is_dir() else "there is no such file")
    if path.stat().st_size == 0:
        raise CheckpointError("the file is empty")
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK") or head[:1] == b"\x80":
        return recognition.unwrap(_read_pth(path)), {}
    if head.startswith(ncnn_format.MAGIC.encode()) or (path.suffix == ".bin" and path.with_suffix(".param").is_file()):
        ncnn = ncnn_format.read(path)
        return recognition.ncnn_state(ncnn.layers, ncnn.weights), {"note": ncnn.note} if ncnn.note else {}
    if head[8:9] == b"{" or (path.suffix == ".safetensors" and len(head) < 9):
        return _read_safetensors(path)
    raise CheckpointError(f"it is not a weights file ({_looks_like(head)}); supported are {FORMATS}")


def digest(path: Path) -> str:
    """SHA-256 in hexadecimal of a weights file; of the ``.bin`` if it is an ncnn ``.param``."""
    return sha256_of(path.with_suffix(".bin") if path.suffix == ".param" else path)


def card_of(found: Recognised | LoadedModel) -> dict[str, str]:
    """Architecture and hyper-parameters as the flat strings that a safetensors file carries."""
    values = {f.name: getattr(found.config, f.name) for f in fields(found.config)}
    return {"architecture": found.architecture} | {k: str(v) for k, v in values.items() if v is not None}


def _read_pth(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # torch warns about pickles of other protocols; all that matters is whether it can read them.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        called = _code_in(path)
        if called:
            raise CheckpointError(
                f"it carries code ({called}), which could do anything on this machine; it was not run. "
                f"Ask its author for plain weights, best as .safetensors; supported are {FORMATS}"
            ) from error
        raise CheckpointError("it is not a PyTorch weights file, or it is damaged") from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise CheckpointError("it carries code (a TorchScript program); plain weights are needed") from error
        raise CheckpointError("the file is truncated or damaged: fetch it again") from error
    except (EOFError, OSError, ValueError, KeyError, AttributeError, IndexError, struct.error) as error:
        raise CheckpointError("the file is truncated or damaged: fetch it again") from error


def _code_in(path: Path) -> str | None:
    """The first name that a pickle would import and call, other than what plain weights need; nothing is run."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            pickles = [io.BytesIO(archive.read(name)) for name in archive.namelist() if name.endswith(".pkl")]
    else:
        pickles = [io.BytesIO(path.read_bytes())]
    names = [name for pickled in pickles for name in _imports(pickled)]
    plain = ("torch._utils.", "torch.serialization.", "collections.OrderedDict")
    strange = [n for n in names if not n.startswith(plain) and not re.fullmatch(r"torch\.\w+", n)]
    return strange[0] if strange else None


def _imports(file: IO[bytes]) -> list[str]:
    """``module.name`` of everything that the pickles in a file import, up to where they can be read."""
    names: list[str] = []
    strings: list[str] = []
    try:
        while True:  # the format before zip files is several pickles in a row
            for opcode, value, _ in pickletools.genops(file):
                if opcode.name in ("GLOBAL", "INST"):
                    names.append(".".join(str(value).split(" ", 1)))
                elif opcode.name == "STACK_GLOBAL":
                    names.append(".".join(strings[-2:]))
                elif isinstance(value, str):
                    strings.append(value)
    except (ValueError, EOFError, UnicodeDecodeError):
        return names  # the end, or the storages behind the pickles


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    # Not at the top: networks run without it, as in benchmarks on a machine that has torch and little else.
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = path.read_bytes()
    try:
        tensors = load(data)
    except SafetensorError as error:
        size = struct.unpack("<Q", data[:8].ljust(8, b"\0"))[0]
        cut = "Buffer" in str(error) or size + 8 > len(data)
        what = "truncated" if cut else "damaged"
        raise CheckpointError(f"the safetensors file is {what}: fetch it again") from error
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    return tensors, {str(k): str(v) for k, v in header.get("__metadata__", {}).items()}


def _looks_like(head: bytes) -> str:
    text = head.lstrip()
    if text[:1] == b"<":
        return "it begins like a web page: the download may have been an error page"
    for magic, what in {b"\x89PNG": "a PNG picture", b"\xff\xd8": "a JPEG picture", b"GGUF": "a GGUF model"}.items():
        if head.startswith(magic):
            return what
    if head[4:8] == b"ftyp" or head.startswith(b"\x1a\x45\xdf\xa3"):
        return "a video"
    if head[:2] == b"\x08\x07" or b"onnx" in head or b"pytorch" in head[:24]:
        return "an ONNX model"
    return "text" if all(32 <= b < 127 or b in b"\r\n\t" for b in head) else "bytes of an unknown kind"


def _mismatch(network: nn.Module, state: dict[str, Tensor]) -> str:
    """How a state differs from what the network needs, in one line."""
    wanted = network.state_dict()
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing:
        return f"the file is incomplete: {len(missing)} tensors are missing, the first is {missing[0]}"
    if extra:
        return f"unknown architecture: it has tensors that the network does not have, such as {extra[0]}"
    key = next(k for k in wanted if wanted[k].shape != state[k].shape)
    return (
        f"unknown architecture: {key} has the shape {tuple(state[key].shape)} "
        f"where {tuple(wanted[key].shape)} was expected"
    )

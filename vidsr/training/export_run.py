"""From a run to a model that ``vidsr enhance --model`` takes: the averaged weights, with a card."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vidsr.errors import OutputError, TrainingError
from vidsr.models.saving import save
from vidsr.training import checkpoints
from vidsr.version import __version__


def export(
    run: Path, target: Path, *, which: str = "latest", stage: str | None = None, overwrite: bool = False
) -> Path:
    """Write the averaged weights of a run as safetensors; the checkpoint they come from.

    ``which`` is "latest", "best" (by validation), or the name of a checkpoint such as ``psnr-00005000``;
    ``stage`` "psnr" or "gan" narrows the first two to that stage.

    Raises:
        TrainingError: there is no such checkpoint.
        OutputError: the target exists, or cannot be written.
    """
    if target.suffix != ".safetensors":
        raise OutputError(f"{target}: a model is written as .safetensors; give a name with that ending")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} already exists; use --overwrite to replace it")
    path = _pick(run / "checkpoints", which, stage)
    found = checkpoints.read(path)
    save(target, found.tensors["average"], card_of(found.state))
    return path


def _pick(folder: Path, which: str, stage: str | None) -> Path:
    found = [p for p in checkpoints.listing(folder) if stage is None or p.name.startswith(stage)]
    if not found:
        raise TrainingError(f"{folder}: there is no checkpoint{f' of stage {stage}' if stage else ''} to export")
    if which == "latest":
        return found[-1]
    if which == "best":
        best = checkpoints.read(found[-1]).state["best"]
        last = stage or found[-1].name.split("-")[0]
        if last not in best:
            raise TrainingError(
                f"{folder}: stage {last} was never validated, so it has no best checkpoint; export the latest"
            )
        which = best[last][1]
    if folder / which not in found:
        raise TrainingError(f"{folder}: there is no checkpoint {which}; there are {', '.join(p.name for p in found)}")
    return folder / which


def card_of(state: dict[str, Any]) -> dict[str, str]:
    """The card of a model: structure, data, schedule, degradations, scores."""
    options = state["options"]
    generator, stage = options["generator"], state["stage"]
    scores = ", ".join(f"{name} {value:.4g}" for name, value in state["scores"].items())
    if scores and state["scored_at"] != state["step"]:
        scores += f" (of step {state['scored_at']})"
    return {
        "architecture": generator.get("architecture", "RRDBNet"),
        "scale": str(generator["scale"]),
        "trained_with": f"vidsr {__version__}",
        "trained_on": Path(options["data"]["dataset"]).name,
        "stage": stage,
        "steps": str(state["step"]),
        "validation": ", ".join(_measured_on(options["validation"])) or "none",
        "scores": scores or "none",
        "exported": datetime.now(UTC).strftime("%Y-%m-%d"),
        "options": json.dumps(_public(options), sort_keys=True),
    }


def _public(options: dict[str, Any]) -> dict[str, Any]:
    """The options without the folders of the machine it was trained on."""
    kept = {table: dict(values) for table, values in options.items()}
    places = (("run", "folder"), ("data", "dataset"), ("validation", "folder"), ("validation", "clips"), ("gan", "vgg"))
    for table, key in (*places, ("generator", "start_from"), ("distil", "teacher")):
        if kept.get(table, {}).get(key):
            kept[table][key] = Path(str(kept[table][key])).name
    return kept


def _measured_on(validation: dict[str, Any]) -> list[str]:
    return [Path(validation[key]).name for key in ("folder", "clips") if validation.get(key)]

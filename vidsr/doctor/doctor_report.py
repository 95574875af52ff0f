"""The whole examination as one report: its parts put together, advice derived, and the user's name taken out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsr.doctor import machine
from vidsr.doctor.examination import Examination
from vidsr.doctor.isolation import PARTS, examined

SCHEMA = "vidsr-doctor/1"
#: Free bytes below which memory or a disk is mentioned.
_LITTLE_MEMORY, _LITTLE_DISK = 2 << 30, 5_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """An examination that has ended, and what would make things better."""

    exam: Examination
    advice: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether a plain ``vidsr enhance`` can run here."""
        return not self.exam.problems

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the user's home folder is written as "~"."""
        values = self.exam.to_json()
        del values["now"]
        whole = {"schema": SCHEMA, "ready": self.ready, **values, "advice": list(self.advice)}
        cleaned = without_home(whole)
        assert isinstance(cleaned, dict)
        return cleaned


def examine() -> DoctorReport:
    """Examine this machine. Raises nothing: whatever fails is in the report."""
    exam = Examination()
    machine.examine(exam)
    for part in PARTS:
        exam.add(examined(part))
    return report_of(exam)


def report_of(exam: Examination) -> DoctorReport:
    """The report of an examination."""
    for weights in exam.found.get("weights") or ():
        default = exam.used.get("model", {}).get("value")
        if weights["state"] != "ok" and weights["name"] == default:
            exam.prevent(f"the default model {default} is {weights['state']}", "reinstall vidsr")
    return DoctorReport(exam=exam, advice=tuple(dict.fromkeys(_advice(exam))))


def without_home(value: Any) -> Any:
    """``value`` with the path of the user's home folder replaced by "~" in every text."""
    if isinstance(value, dict):
        return {key: without_home(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_home(one) for one in value]
    if not isinstance(value, str):
        return value
    try:
        home = str(Path.home())
    except RuntimeError:
        return value
    if len(Path(home).parts) < 2:
        return value
    return "~" if value == home else value.replace(home + os.sep, "~" + os.sep)


def _advice(exam: Examination) -> Iterator[str]:
    for unknown in exam.unknown:
        yield f"{unknown.probe} could not be examined ({unknown.error}): {unknown.next_step}"
    for trial in exam.tried:
        if trial.result == "failed" and trial.next_step:
            yield f"{trial.what} failed: {trial.next_step}"
    yield from _about_gpus(exam.found)
    kernels = exam.found.get("winograd")
    if kernels and not kernels["works"]:
        if kernels["compiler"] is None:
            yield "no C compiler: install gcc or clang for the fast kernels of fp32 on the CPU"
        else:
            yield (
                f"the C kernels do not work ({kernels['reason']}): repair the compiler, or set VIDSR_CACHE to a "
                "folder that can be written"
            )
    for weights in exam.found.get("weights") or ():
        if weights["state"] != "ok":
            yield f"the model {weights['name']} is {weights['state']}: reinstall vidsr"
    yield from _about_space(exam.found)
    programs = exam.found.get("programs") or {}
    if programs and programs.get("imageio-ffmpeg") is None:
        yield "no ffmpeg of imageio-ffmpeg, so no VMAF: pip install --force-reinstall imageio-ffmpeg"
    missing = [name for name, there in (exam.found.get("extras") or {}).items() if not there]
    if missing:
        yield f"optional, not installed: pip install 'vidsr-esrgan[{','.join(missing)}]'"


def _about_gpus(found: dict[str, Any]) -> Iterator[str]:
    driven, torch = found.get("nvidia") or [], found.get("torch")
    if driven and torch and not found.get("gpus"):
        if torch["cuda"] is None:
            yield (
                f"{driven[0]['name']} is not used: this PyTorch is built without CUDA. Install a CUDA build: "
                "https://pytorch.org/get-started"
            )
        else:
            yield (
                f"{driven[0]['name']} is not used: PyTorch's CUDA {torch['cuda']} does not start with driver "
                f"{driven[0]['driver']}. Update the driver, or install a PyTorch build for an older CUDA"
            )
    if driven and torch and torch["cuda"] and "triton" in found and found["triton"] is None:
        yield "triton is not installed: without it the GPU's own kernels and --compile are missing; pip install triton"


def _about_space(found: dict[str, Any]) -> Iterator[str]:
    from vidsr.storage import human_bytes

    free = (found.get("memory") or {}).get("free")
    if free is not None and free < _LITTLE_MEMORY:
        yield f"only {human_bytes(free)} of memory are free: large frames will be computed in tiles; see vidsr plan"
    remedies = {
        "working": "give --output another folder",
        "state": "set VIDSR_STATE to another folder, or vidsr jobs list will not know your jobs",
        "weights cache": "models cannot be fetched; set VIDSR_WEIGHTS to a folder with weights",
        "kernel cache": "set VIDSR_CACHE to another folder for the C kernels",
        "temporary": "set TMPDIR to another folder",
    }
    for folder in found.get("folders") or ():
        what = f"the {folder['use']} folder {folder['path'] or '(unknown)'}"
        if not folder["writable"]:
            yield f"{what} cannot be written ({folder['error']}): {remedies[folder['use']]}"
        elif folder["use"] == "working" and folder["free"] is not None and folder["free"] < _LITTLE_DISK:
            yield f"{what} has only {human_bytes(folder['free'])} free: {remedies['working']}; see vidsr plan"

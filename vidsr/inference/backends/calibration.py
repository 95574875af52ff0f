"""Chooses among several ways to run a network on this device: those that are correct are timed, the fastest is kept.

No faster form is used before it has shown the same picture. Each candidate runs on a crop of a real frame and is
compared with the network in fp32; those that agree are timed on the whole input. What was chosen is remembered per
device, driver, libraries, model and size in ``calibration.json`` in the user's cache.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor

from vidsr.errors import VidsrError
from vidsr.storage import write_atomically

Runner = Callable[[Tensor], Tensor]

#: A candidate in half precision must come this close to fp32, in dB of PSNR at full scale 1.
RIGHT_FROM_DB = 60.0
#: Some models lose more to half precision alone: then as close as the plain half-precision network, less this.
_TOLERANCE_DB = 3.0
#: A candidate must be faster than a simpler one by this factor.
_WORTH_IT = 0.97
_REPEATS = 3
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to run a network. ``make`` builds it, which may take long, raise or hang.

    ``apart`` runs it in a process of its own, on a picture and within seconds, and raises if that fails. Where it is
    given, it must give the right picture before the form runs in this process.
    """

    name: str
    make: Callable[[], Runner]
    apart: Callable[[Tensor, float], Tensor] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The outcome for one candidate. ``decibels``: PSNR against fp32 on the crop; ``seconds``: median time of the whole
    input; ``problem``: why it cannot be used, empty if it can."""

    name: str
    decibels: float | None = None
    seconds: float | None = None
    problem: str = ""


def calibrate(
    candidates: Sequence[Candidate],
    crop: Tensor,
    whole: Tensor,
    *,
    reference: Runner,
    wait: Callable[[], None],
    limit_seconds: float = 120.0,
    apart_seconds: float = 300.0,
) -> tuple[Trial, ...]:
    """Try ``candidates``, simplest first, on ``crop`` ``[1, 3, h, w]`` and ``whole`` ``[N, 3, H, W]``, RGB in 0..1.

    ``reference`` is the network in fp32; ``wait`` returns when the device has done what was queued. A candidate that
    does not end within ``limit_seconds`` is abandoned; its thread cannot be ended and is left behind. One that is tried
    apart has ``apart_seconds`` for that, which include the start of a process and compilation.
    """
    expected = reference(crop)
    trials: list[Trial] = []
    for candidate in candidates:
        floor = min([RIGHT_FROM_DB, *(t.decibels - _TOLERANCE_DB for t in trials[:1] if t.decibels is not None)])
        problem = _problem_apart(candidate, crop, expected, floor, apart_seconds)
        if problem:
            trials.append(Trial(name=candidate.name, problem=problem))
            continue
        trials.append(_tried(candidate, crop, whole, expected, floor if trials else 0.0, wait, limit_seconds))
    return tuple(trials)


def _problem_apart(candidate: Candidate, crop: Tensor, expected: Tensor, floor_db: float, seconds: float) -> str:
    """Why a candidate that is tried in a process of its own cannot be used; empty if it can, or needs no such trial."""
    if candidate.apart is None:
        return ""
    try:
        decibels = _psnr(candidate.apart(crop, seconds), expected)
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return "" if decibels >= floor_db else f"a different picture ({decibels:.1f} dB)"


def _tried(
    candidate: Candidate,
    crop: Tensor,
    whole: Tensor,
    expected: Tensor,
    floor_db: float,
    wait: Callable[[], None],
    limit_seconds: float,
) -> Trial:
    def work() -> Trial:
        run = candidate.make()
        decibels = _psnr(run(crop), expected)
        if not decibels >= floor_db:
            return Trial(name=candidate.name, decibels=decibels, problem=f"a different picture ({decibels:.1f} dB)")
        times = []
        for _ in range(_REPEATS + 1):  # the first is a warm-up
            wait()
            begin = time.perf_counter()
            run(whole)
            wait()
            times.append(time.perf_counter() - begin)
        return Trial(name=candidate.name, decibels=decibels, seconds=statistics.median(times[1:]))

    return _within(limit_seconds, candidate.name, work)


def compared(name: str, run: Runner, crop: Tensor, expected: Tensor) -> Trial:
    """One run of a form on a CPU, on ``crop``: right from :data:`RIGHT_FROM_DB` of PSNR against ``expected`` on."""
    begin = time.perf_counter()
    try:
        out = run(crop)
    except Exception as error:
        return Trial(name=name, problem=f"{type(error).__name__}: {first_line(error)}")
    seconds, decibels = time.perf_counter() - begin, _psnr(out, expected)
    problem = "" if decibels >= RIGHT_FROM_DB else f"a different picture ({decibels:.1f} dB)"
    return Trial(name=name, decibels=decibels, seconds=seconds, problem=problem)


def _within(limit_seconds: float, name: str, work: Callable[[], Trial]) -> Trial:
    """The outcome of ``work``, done in a thread of its own; a trial with a problem if it raises or takes too long."""
    outcome: list[Trial] = []

    def run() -> None:
        try:
            with torch.inference_mode():
                outcome.append(work())
        except Exception as error:  # whatever a faster form does wrong, the plain one is still there
            outcome.append(Trial(name=name, problem=f"{type(error).__name__}: {first_line(error)}"))

    thread = threading.Thread(target=run, daemon=True, name=f"calibrate {name}")
    thread.start()
    thread.join(limit_seconds)
    return outcome[0] if outcome else Trial(name=name, problem=f"not done after {limit_seconds:.0f} s")


def first_line(error: Exception) -> str:
    """The first line of an error's message, at most 200 characters."""
    return (str(error).strip().splitlines() or ["no message"])[0][:200]


def _psnr(out: Tensor, expected: Tensor) -> float:
    """PSNR in dB at full scale 1; -inf where the result is not finite or has another shape."""
    if out.shape != expected.shape or not bool(torch.isfinite(out).all()):
        return float("-inf")
    error = float((out.float() - expected.float()).square().mean())
    return float("inf") if error == 0 else -10 * torch.tensor(error).log10().item()


def best(trials: Sequence[Trial]) -> Trial | None:
    """The fastest of those without a problem; of two that are nearly equal, the simpler; None if there is none."""
    chosen: Trial | None = None
    for trial in trials:
        if trial.problem or trial.seconds is None:
            continue
        if chosen is None or chosen.seconds is None or trial.seconds < _WORTH_IT * chosen.seconds:
            chosen = trial
    return chosen


def gpu_facts(device: torch.device) -> tuple[str, ...]:
    """What the speed of a form on a GPU depends on: the GPU, its architecture, the versions of the libraries."""
    major, minor = torch.cuda.get_device_capability(device)
    return (
        torch.cuda.get_device_name(device),
        f"sm_{major}{minor}",
        f"torch {torch.__version__} cuda {torch.version.cuda} driver {_driver()}",
        f"triton {_version('triton')}",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _driver() -> str:
    try:
        return Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        return "unknown"


def sentences(trials: Sequence[Trial]) -> tuple[str, ...]:
    """One sentence per candidate that cannot be used."""
    return tuple(f"the {t.name} form is not used here: {t.problem}" for t in trials if t.problem)


def cache_file() -> Path:
    """Where outcomes are kept."""
    return Path(os.environ.get("VIDSR_CACHE") or platformdirs.user_cache_dir("vidsr")) / "calibration.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One calibration: ``key`` names the device, libraries, model and size; ``when`` is UTC in ISO 8601, empty if that
    was not written down."""

    key: str
    when: str
    trials: tuple[Trial, ...]


def recalled(key: str) -> tuple[Trial, ...]:
    """The trials remembered under ``key``; empty if there are none or the file is not readable."""
    return next((one.trials for one in all_remembered() if one.key == key), ())


def all_remembered() -> tuple[Remembered, ...]:
    """Every calibration that is kept here, the newest last; what cannot be read is left out."""
    trials, when = _stored(cache_file())
    found = []
    for key, values in trials.items():
        try:
            made = tuple(Trial(**value) for value in values)
        except TypeError:
            continue
        found.append(Remembered(key=str(key), when=str(when.get(key, "")), trials=made))
    return tuple(sorted(found, key=lambda one: one.when))


def _stored(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The trials and the times in a cache file, by key; empty where it cannot be read."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if stored.get("schema") != _SCHEMA:
            return {}, {}
        return dict(stored["trials"]), dict(stored.get("when", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}


def outcomes(beginning: str) -> dict[str, Trial]:
    """Form → its newest trial remembered under any key that begins so, out of memory left out."""
    found = [one.trials for one in all_remembered() if one.key.startswith(beginning)]
    return {trial.name: trial for trials in found for trial in trials if "memory" not in trial.problem}


def remember(key: str, trials: Sequence[Trial]) -> None:
    """Keep ``trials`` under ``key``. If the cache cannot be written, the next start takes some seconds longer."""
    file = cache_file()
    known, when = _stored(file)
    known[key] = [asdict(trial) for trial in trials]
    when[key] = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema": _SCHEMA, "trials": known, "when": when}, indent=1)
        write_atomically(file, text.encode())
    except (OSError, VidsrError) as error:
        logging.getLogger(__name__).info("the calibration was not kept: %s", error)

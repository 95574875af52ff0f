"""A form tried in a process of its own: if it hangs or ends its process, the job loses neither its process nor its GPU.

``python -m vidsr.inference.forms.trial_process JOB RESULT`` is that process. Both files lie in a temporary folder that
only this user can read, and are gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

#: (plain fp32 network, device, type to compute in) → float32 RGB to RGB of any floating-point type.
Maker = Callable[[nn.Module, torch.device, torch.dtype], Callable[[Tensor], Tensor]]


class FormTrialError(RuntimeError):
    """The process of a form raised, was killed or took too long; the message says which."""


def run_apart(
    maker: Maker, network: nn.Module, device: torch.device, dtype: torch.dtype, rgb: Tensor, limit_seconds: float
) -> Tensor:
    """``rgb`` ``[N, 3, h, w]`` float32 through the form that ``maker`` (a function of a module) makes; the result on
    ``rgb``'s device.

    Raises:
        FormTrialError: it raised, its process died, or it was not done after ``limit_seconds``.
    """
    with tempfile.TemporaryDirectory(prefix="vidsr-trial-") as place:
        job, result, log = (Path(place) / name for name in ("job.pt", "result.pt", "log.txt"))
        order = {"maker": maker, "network": network, "device": str(device), "dtype": dtype, "rgb": rgb.cpu()}
        torch.save(order, job)
        command = [sys.executable, "-P", "-W", "ignore", "-m", __name__, str(job), str(result)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # A file, not a pipe: processes that a compiler leaves behind would keep a pipe open.
        with log.open("wb") as said:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
                start_new_session=True,
            )
            try:
                code = process.wait(limit_seconds)
            except subprocess.TimeoutExpired as error:
                raise FormTrialError(f"not done after {limit_seconds:.0f} s in a process of its own") from error
            finally:
                _end(process)
        if code:
            raise FormTrialError(_ending(code, log.read_text(errors="replace")))
        out: Tensor = torch.load(result, weights_only=True)
        return out.to(rgb.device)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and those that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def _ending(code: int, log: str) -> str:
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    if code > 0:
        return last[:200] or f"its process ended with exit code {code}"
    try:
        return f"its process was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was killed by signal {-code}"


def main(job: str, result: str) -> None:
    """Make the form that the file ``job`` describes, run it, and write what it gives to the file ``result``."""
    order = torch.load(job, map_location="cpu", weights_only=False)  # written by run_apart, in a folder of its own
    device = torch.device(order["device"])
    with torch.inference_mode():
        run = order["maker"](order["network"], device, order["dtype"])
        out = run(order["rgb"].to(device)).float().cpu()
    torch.save(out.clone(), result)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Parts of an examination in processes of their own: a library that crashes or hangs is a finding, not the end."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path

from vidsr.doctor.examination import Examination

#: Name of a part → (the module whose ``examine`` makes it, what it is about, what to do where its process dies).
PARTS: dict[str, tuple[str, str, str]] = {
    "computing": (
        "vidsr.doctor.computing",
        "the network",
        "reinstall PyTorch (https://pytorch.org/get-started) and the GPU's driver; --device cpu avoids the GPU",
    ),
    "video": ("vidsr.doctor.video", "video files", "reinstall PyAV: pip install --force-reinstall --no-deps av"),
}
_LIMIT_SECONDS = 600
_MARK = "vidsr-doctor "


def examined(part: str, limit_seconds: float = _LIMIT_SECONDS) -> Examination:
    """What a part of :data:`PARTS` found in its own process; where that dies, what it had found until then."""
    _, about, next_step = PARTS[part]
    # Not -m: that would put the working folder, and every random.py in it, before the libraries.
    # Of the folder that this vidsr is in, only vidsr itself is taken, whichever is installed.
    root = str(Path(__file__).resolve().parents[2])
    own = f"import sys; sys.path.insert(0, {root!r}); import vidsr; sys.path.remove({root!r})"
    code = f"{own}; from vidsr.doctor.isolation import main; main({part!r})"
    command = [sys.executable, "-P", "-W", "ignore", "-c", code]
    ending = ""
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_seconds, check=False)
        out, err = done.stdout, done.stderr
        if done.returncode:
            ending = _ending(done.returncode, err)
    except subprocess.TimeoutExpired as error:
        out = error.stdout or b""
        ending = f"no answer within {limit_seconds:.0f} s"
    except OSError as error:
        out, ending = b"", f"no process can be started: {error.strerror or error}"
    exam = _last_state(out)
    if ending:
        where = f" during: {exam.now}" if exam.now else ""
        exam.prevent(f"{about} could not be examined to the end: {ending}{where}", next_step)
    return exam


def main(part: str) -> None:
    """Make a part in this process; its state goes to stdout after each step."""
    exam = Examination()
    exam.on_change = lambda: print(_MARK + json.dumps(exam.to_json()), flush=True)
    importlib.import_module(PARTS[part][0]).examine(exam)
    exam.on_change()


def _last_state(out: bytes) -> Examination:
    for line in reversed(out.decode(errors="replace").splitlines()):
        if line.startswith(_MARK):
            try:
                return Examination.from_json(json.loads(line.removeprefix(_MARK)))
            except ValueError:  # cut off
                continue
    return Examination()


def _ending(code: int, err: bytes) -> str:
    last = next((line.strip() for line in reversed(err.decode(errors="replace").splitlines()) if line.strip()), "")
    if code >= 0:
        return f"its process ended with code {code}" + (f" ({last})" if last else "")
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"

"""Where things lie in the checkout, and the environment that child processes of tests get."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Two seconds of film, 160x90 pixels, 48 frames.
SAMPLE = ROOT / "samples" / "bigbuckbunny-160x90.mp4"
#: A frame of the same film, 320x180 pixels.
STILL = ROOT / "samples" / "bigbuckbunny-320x180.png"


def child_environment(**more: str) -> dict[str, str]:
    """The environment for a child process: this checkout's vidsr, one thread, and ``more``."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def write_files(root: Path, files: dict[str, str]) -> Path:
    """Write text files, by their names below ``root``, and return ``root``."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root

"""Small clips for tests, made by the ffmpeg binary of imageio-ffmpeg and cached for one test session.

``T`` and ``A`` are the building blocks of recipes: a moving test picture and a tone.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

from tests.support import processes
from tests.support.places import SAMPLE


def picture(size: str = "64x48", rate: str = "24", seconds: float = 1, extra: str = "") -> tuple[str, ...]:
    """ffmpeg input arguments for a moving test picture."""
    return ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}{extra}")


def tone(seconds: float = 1, rate: int = 48000) -> tuple[str, ...]:
    """ffmpeg input arguments for a sine tone."""
    return ("-f", "lavfi", "-i", f"sine=d={seconds}:r={rate}")


#: name → (file name, arguments between the ffmpeg command and the output path)
RECIPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "basic": (
        "basic.mp4",
        (*picture(), *tone(), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    ),
    "silent": ("silent.mkv", (*picture(), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")),
    "lossless": ("lossless.mkv", (*picture(), "-c:v", "ffv1", "-pix_fmt", "yuv420p")),
    "ten_bit": ("ten_bit.mkv", (*picture(), "-c:v", "ffv1", "-pix_fmt", "yuv420p10le")),
    # Real film with sound, 16 frames, small enough for networks of full size.
    "film": (
        "film.mp4",
        (
            *("-i", str(SAMPLE), "-t", "0.67", "-frames:v", "16", "-vf", "crop=96:54", "-c:v", "libx264"),
            *("-preset", "ultrafast", "-crf", "16", "-pix_fmt", "yuv420p", "-c:a", "copy"),
        ),
    ),
    "audio_only": ("audio_only.mp4", (*tone(), "-c:a", "aac")),
}


class ClipFactory:
    """Makes clips in one folder, each only once. Other processes may share the work through the folder ``shared``, from
    which each copies what it needs."""

    def __init__(self, folder: Path, shared: Path | None = None) -> None:
        self.folder = folder
        self._shared = shared

    def __call__(self, name: str = "basic") -> Path:
        """The clip of :data:`RECIPES` with this name."""
        return self.make(*_flat(RECIPES[name]))

    def make(self, filename: str, *args: str) -> Path:
        """Run ffmpeg with these arguments, writing ``filename``; the path of the result. Same call, same file."""
        name = hashlib.blake2b("\0".join((filename, *args)).encode(), digest_size=8).hexdigest()
        place = self.folder / name
        if not place.exists():
            if self._shared is None:
                _made(place, filename, args)
            else:
                _made(self._shared / name, filename, args)
                shutil.copytree(self._shared / name, place)
        return place / filename


def _made(place: Path, filename: str, args: tuple[str, ...]) -> None:
    """Make ``place`` with the clip in it, whole or not at all, unless it is there."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=place.parent))
    run_ffmpeg(*args, str(work / filename))
    with contextlib.suppress(OSError):  # another process was faster
        work.rename(place)


def _flat(recipe: tuple[str, tuple[str, ...]]) -> tuple[str, ...]:
    return (recipe[0], *recipe[1])


def run_ffmpeg(*args: str, stdin: bytes | None = None) -> bytes:
    """Run the ffmpeg binary with these arguments; its standard output.

    Raises:
        RuntimeError: ffmpeg failed; the message holds what it wrote.
    """
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-hide_banner", "-loglevel", "error", "-nostats", *args]
    if stdin is None:
        done = processes.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    else:
        done = processes.run(command, capture_output=True, input=stdin, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr.decode(errors='replace')}")
    return done.stdout

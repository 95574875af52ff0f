"""VMAF and CAMBI, by the libvmaf inside the ffmpeg that imageio-ffmpeg carries. Its models see luma only.

Frames go through a pipe in pairs, one above the other in one picture, so that the caller decides the pairs and nothing
depends on how ffmpeg would match timestamps.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.errors import VidsrError

LumaPlane = npt.NDArray[Any]


class Libvmaf:
    """``with Libvmaf(width, height, depth) as vmaf:`` then :meth:`add` each pair, then :meth:`scores`.

    ``depth`` is 8 or 10 bits. The two lumas of a pair are limited-range code values of the same depth. ``model`` and
    ``feature`` are the options of ffmpeg's filter: "" computes no model, "name=cambi" CAMBI of the other video.
    """

    def __init__(
        self, width: int, height: int, depth: int = 8, *, model: str = "version=vmaf_v0.6.1", feature: str | None = None
    ) -> None:
        import ffmpeg
        import imageio_ffmpeg

        if depth not in (8, 10):
            raise ValueError(f"VMAF takes 8 or 10 bits, not {depth}")
        self._shape, self._dtype = (height, width), np.dtype("<u2" if depth > 8 else "u1")
        # 4:2:2 has no vertical subsampling, so any height can be stacked and cut again; chroma stays neutral.
        chroma = np.full((2, 2 * height, -(-width // 2)), 1 << (depth - 1), self._dtype)
        self._chroma = chroma.tobytes()
        self._folder = tempfile.TemporaryDirectory(prefix="vidsr-vmaf-")
        size = f"{width}x{2 * height}"
        pixels = "yuv422p" if depth == 8 else "yuv422p10le"
        stacked = ffmpeg.input("pipe:", format="rawvideo", pix_fmt=pixels, s=size, r=25).filter_multi_output("split")
        parts = [stacked[i].filter("crop", "iw", "ih/2", 0, "0" if i else "ih/2", exact=1) for i in (0, 1)]
        more = {} if feature is None else {"feature": feature}
        graph = ffmpeg.filter(parts, "libvmaf", log_fmt="json", log_path="vmaf.json", model=model, **more)
        command = graph.output("-", format="null").global_args("-nostdin", "-hide_banner", "-loglevel", "error")
        self._errors = (Path(self._folder.name) / "errors.txt").open("wb")
        self._process = subprocess.Popen(
            command.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe()),
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )

    def __enter__(self) -> Libvmaf:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin:
            with contextlib.suppress(OSError):  # the other end is gone, and so is what was still in the buffer
                self._process.stdin.close()
        self._errors.close()
        self._folder.cleanup()

    def add(self, reference: LumaPlane, other: LumaPlane) -> None:
        """Hand over one pair of luma planes ``[H, W]``.

        Raises:
            VidsrError: ffmpeg has stopped; the message holds its reason.
        """
        assert self._process.stdin is not None
        try:
            for plane in (reference, other):
                if plane.shape != self._shape:
                    raise ValueError(f"a plane of shape {plane.shape}, expected {self._shape}")
                self._process.stdin.write(np.ascontiguousarray(plane, self._dtype).tobytes())
            self._process.stdin.write(self._chroma)
        except OSError as error:
            raise VidsrError(self._reason()) from error

    def scores(self, metric: str = "vmaf") -> list[float]:
        """End the input and return ``metric`` of every pair: "vmaf", 0 to 100, or "cambi", 0 to 24 (0: no bands).

        Raises:
            VidsrError: ffmpeg failed; the message holds its reason.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError as error:
            raise VidsrError(self._reason()) from error
        log = Path(self._folder.name) / "vmaf.json"
        if self._process.wait() != 0 or not log.is_file():
            raise VidsrError(self._reason())
        return [float(frame["metrics"][metric]) for frame in json.loads(log.read_text(encoding="utf-8"))["frames"]]

    def _reason(self) -> str:
        self._process.wait()
        text = (Path(self._folder.name) / "errors.txt").read_text(encoding="utf-8", errors="replace").strip()
        return f"ffmpeg could not compute VMAF or CAMBI: {text.splitlines()[0] if text else 'it said nothing'}"

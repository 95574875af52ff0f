"""Scratch: lines that run along the film over many frames, filled from both sides."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, scale8, windowed, with_planes
from vidsr.filters.detect.inspection import SCRATCHED
from vidsr.filters.detect.statistics import codes8
from vidsr.filters.film.scratch_fill import Bare, fill_line
from vidsr.filters.film.scratch_lines import BANDS, FilmLine
from vidsr.filters.film.scratch_tracks import BRIDGE, REACH, LinedFrame, lined_frames, scene_around, scratches, settled
from vidsr.frames import Floats, Frame, Plane

#: Brightness of bright and dark scratches, as a share of full scale.
_BRIGHT, _DARK = 0.95, 0.05


@dataclass(slots=True)
class ScannedFrame:
    """A frame until it has been made, its lines, and those of them that are scratches by its own window, once known."""

    frame: Frame | None
    lined: LinedFrame
    scratches: list[FilmLine] | None = None


class Scratch:
    """Fills scratches: thin lines that most of a frame's height has, for many frames, and that wander over the scene.

    What lies under a scratch is drawn from both sides, and keeps the detail that still shows through it. The confidence
    in a line is the share of the frames around that agree, or that of the picture's height that shows it, if less.
    """

    name = "scratch"
    # A frame close to the end of its scene is judged with as many frames, most of them on its other side.
    lookaround = (2 * REACH + BRIDGE, 2 * REACH + BRIDGE)

    def __init__(self) -> None:
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        def fill(window: Sequence[ScannedFrame], at: int) -> Frame:
            return _filled(window, at, self.least_confidence)

        return windowed(scanned(frames), *self.lookaround, fill)


def scanned(frames: Iterator[Frame]) -> Iterator[ScannedFrame]:
    """Each frame with what is found in it."""
    taken: deque[Frame] = deque()

    def lumas() -> Iterator[Floats]:
        for frame in frames:
            taken.append(frame)
            yield codes8(frame.planes[0], frame.format.max_code)

    for lined in lined_frames(lumas()):
        yield ScannedFrame(taken.popleft(), lined)


def _filled(window: Sequence[ScannedFrame], at: int, least_confidence: float) -> Frame:
    lined = [scanned.lined for scanned in window]
    low, high = scene_around(lined, at)
    found = {}
    for n in range(max(low, at - BRIDGE), min(high, at + BRIDGE + 1)):
        lines = window[n].scratches
        if lines is None:
            first, stop = scene_around(lined, n)
            lines = window[n].scratches = scratches(lined[first:stop], n - first)
        found[n] = lines
    frame, lines = window[at].frame, settled(lined, found, at, least_confidence)
    assert frame is not None
    window[at].frame = None  # those after it need its lines alone
    if not lines:
        return frame
    return with_planes(frame, [_plane(frame, number, lines) for number in range(len(frame.planes))])


def _plane(frame: Frame, number: int, lines: Sequence[FilmLine]) -> Plane:
    format = frame.format
    if format.alpha and number == format.plane_count - 1:
        return frame.planes[number]
    is_chroma = format.family == "yuv" and number in (1, 2)
    across = 1 << format.log2_chroma_w if is_chroma else 1
    plane = frame.planes[number]
    values, scale = plane.astype(np.float32), scale8(frame)
    made = values.copy()
    for line in lines:
        # Neither a scratch to the clear base nor one that holds dirt has colour.
        path = _columns(line, plane.shape[0]) / across
        if is_chroma:
            fill_line(values, made, path, Bare(0.5 * format.max_code, 0), scale)
        else:
            tone = _BRIGHT if line.sign > 0 else _DARK
            fill_line(values, made, path, Bare(tone * format.max_code, line.sign), scale)
    result = np.array(plane)
    # What was not touched keeps its code values.
    np.copyto(result, quantised(made, frame), where=made != values)
    return result


def _columns(line: FilmLine, height: int) -> npt.NDArray[np.float64]:
    """The line's column in each row."""
    middles = (np.arange(BANDS) + 0.5) * height / BANDS - 0.5
    return np.interp(np.arange(height), middles, line.path)


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="scratch",
    help="fills scratches that run along the film over many frames",
    make=lambda _: Scratch(),
    recommended=lambda found: found.scratched > SCRATCHED,
)

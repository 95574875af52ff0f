"""The search for faults of video tape in stretches of a source."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vidsr.filters.detect import chroma_delay
from vidsr.filters.detect.dropouts import may_be_lost
from vidsr.filters.detect.fault_places import FaultPlace
from vidsr.filters.detect.head_switching import BandSearch
from vidsr.filters.detect.statistics import codes8
from vidsr.filters.detect.tape_findings import TapeFindings
from vidsr.filters.tape import colour_band, halos, raised_band
from vidsr.filters.tape.composite_search import CompositeSearch
from vidsr.frames import Floats, Frame

#: Analogue video has 576 lines at most, DV and discs have up to 720 columns; some room for what captures add.
_MOST_LINES, _MOST_COLUMNS = 608, 800
#: A frame with this many pixels of runs that differ is looked at along the motion; of a stretch the most such frames.
_SUSPECT_PX, _MOST_CHECKED = 12, 4
#: Every so many frames of a stretch, beginning with this one, are measured for the delay, halos and composite video; of
#: stretches shorter than this every second one. The band, whose measures cost little, is looked for in every second.
_EVERY, _FIRST, _SHORT, _OFTEN = 4, 1, 24, 2
#: Frames at the beginning of a stretch that are searched for displaced lines, at least so many.
_LINES_FRAMES, _LINES_LEAST = 9, 5
#: Fewest frames with dropouts, and their least share of those searched, that are reported.
_FEWEST, _SHARE = 3, 0.01
#: Seconds apart at which they count as several moments, and the share from which one moment is enough.
_APART, _MANY = Fraction(1, 2), 0.05


class TapeSearch:
    """Takes stretches of consecutive frames. Frames larger than analogue video's are not searched."""

    def __init__(self) -> None:
        self._dropouts: list[Fraction] = []
        self._searched = 0
        self._band = BandSearch()
        self._scores: list[Floats] = []
        self._colour: list[colour_band.ColourDetail] = []
        self._colour_rate = 0.0
        self._edges: list[Floats] = []
        self._pieces: list[raised_band.Pieces] = []
        self._composite = CompositeSearch()
        self._wobble: list[FaultPlace] = []

    def add(self, frames: Sequence[Frame]) -> None:
        """Look at one stretch."""
        if frames[0].height > _MOST_LINES or frames[0].width > _MOST_COLUMNS:
            return
        self._colour_rate = colour_band.colour_rate(frames[0])
        luma = [codes8(frame.planes[0], frame.format.max_code) for frame in frames]
        for n in range(_FIRST, len(frames), _OFTEN):
            self._band.add(luma[n])
        for n in range(_FIRST, len(frames), _EVERY if len(frames) >= _SHORT else 2):
            self._edges.append(halos.profiles(luma[n]))
            self._pieces.append(raised_band.pieces(luma[n]))
            self._composite.add(frames, n)
            measured = chroma_delay.scores(frames[n])
            if measured is not None:
                self._scores.append(measured)
            detail = colour_band.detail(frames[n])
            if detail is not None:
                self._colour.append(detail)
        self._search_lines(frames[:_LINES_FRAMES])
        suspects = []
        for n in range(1, len(frames) - 1):
            count = may_be_lost(luma[n], luma[n - 1], luma[n + 1])
            if count >= _SUSPECT_PX:
                suspects.append((-count, n))
        self._searched += max(0, len(frames) - 2)
        for _, n in sorted(sorted(suspects)[:_MOST_CHECKED], key=lambda pair: pair[1]):
            if _holds_dropouts(frames[n - 1 : n + 2]):
                self._dropouts.append(frames[n].pts * frames[n].time_base)

    def _search_lines(self, frames: Sequence[Frame]) -> None:
        from vidsr.filters.tape.wobble import displaced_px, measured

        if len(frames) < _LINES_LEAST:
            return
        strong = displaced_px(list(measured(iter(frames))))
        if strong:
            start, end = (frames[n].pts * frames[n].time_base for n in (0, -1))
            self._wobble.append(FaultPlace(start=start, end=end, strong=strong))

    def result(self) -> TapeFindings:
        """What was found in all stretches."""
        return TapeFindings(
            dropouts=tuple(self._dropouts) if are_of_tape(self._dropouts, self._searched) else (),
            searched=self._searched,
            head_switching=self._band.rows(),
            chroma_delay=chroma_delay.delay(self._scores),
            colour_band=colour_band.bandwidth(self._colour, self._colour_rate),
            ringing=raised_band.measured(self._pieces, halos.measured(self._edges)),
            wobble=tuple(self._wobble),
            dot_crawl=self._composite.dot_crawl(),
            rainbows=self._composite.rainbows(),
        )


def are_of_tape(times: Sequence[Fraction], searched: int) -> bool:
    """Whether frames that seem to hold dropouts are enough to be reported, of ``searched`` frames.

    Their ``times`` are seconds. A few in many frames may be things that only one frame shows, and a few at
    one moment may be one thing that passes quickly; tape loses lines again and again.
    """
    if len(times) < max(_FEWEST, _SHARE * searched):
        return False
    return max(times) - min(times) >= _APART or len(times) >= _MANY * searched


def _holds_dropouts(frames: Sequence[Frame]) -> bool:
    import torch

    from vidsr.filters.before.motion import Planes, carried
    from vidsr.filters.tape.dropout import lost

    before, now, after = map(Planes, frames)
    with torch.inference_mode():
        found = lost(now, (before, after), (carried(now, before), carried(now, after)))
        return any(mask.any() for mask in found)

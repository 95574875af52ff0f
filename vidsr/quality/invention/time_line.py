"""The figures of a map of invention as HTML: the film, a time line as inline SVG with its shots, a table of them."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1120, 190, 46, 8, 18, 22
#: Points of a line at most, each the mean of the frames that share it.
_POINTS = 600
#: A shot narrower than this, in units of the drawing, gets a mark but no number.
_NUMBERED_PX = 18
_ROWS = 1000
_FIGURES = ("supported_percent", "invented_percent", "expected_error", "error_low", "error_high")


@dataclass(frozen=True, slots=True, kw_only=True)
class InventionSpan:
    """A frame, a shot or the film: ``begin`` and ``end`` in seconds, shares of the pixels in percent, the mean expected
    error and its spread in 8-bit code values."""

    begin: float
    end: float
    supported_percent: float
    invented_percent: float
    expected_error: float
    error_low: float
    error_high: float

    @staticmethod
    def of(values: Mapping[str, Any], begin: str, end: str) -> InventionSpan:
        """From plain values; ``begin`` and ``end`` are the names of its times."""
        numbers = {name: float(values[name]) for name in _FIGURES}
        times = float(values[begin]), float(values[end])
        if not all(map(math.isfinite, (*numbers.values(), *times))):
            raise ValueError("not a finite number")
        return InventionSpan(begin=times[0], end=times[1], **numbers)

    def __str__(self) -> str:
        return (
            f"{self.supported_percent:.0f} % supported, {self.invented_percent:.0f} % invented, "
            f"expected error {self.expected_error:.1f} code values"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownInvention:
    """What a page shows of one video: its frames and shots in order, how they were measured, in words, and PNG layers
    for the pictures of the page, in their order, None for those without."""

    film: InventionSpan
    shots: tuple[InventionSpan, ...]
    frames: tuple[InventionSpan, ...]
    rule: str
    layers: tuple[bytes | None, ...] = ()

    @staticmethod
    def of(figures: Mapping[str, Any], layers: Sequence[bytes | None] = ()) -> ShownInvention:
        """From the figures that ``--invention json`` writes.

        Raises:
            KeyError, TypeError, ValueError: they are not of that kind.
        """
        frames = tuple(InventionSpan.of(frame, "seconds", "seconds") for frame in figures["frames"])
        if not frames:
            raise ValueError("no frame was measured")
        times = {"start": frames[0].begin, "last": frames[-1].end}
        return ShownInvention(
            film=InventionSpan.of(dict(figures["film"]) | times, "start", "last"),
            shots=tuple(InventionSpan.of(shot, "start", "last") for shot in figures["shots"]),
            frames=frames,
            rule=str(figures["measured"]["rule"]),
            layers=tuple(layers),
        )

    def section(self, name: str) -> str:
        """HTML about the video called ``name``: a heading, the film's figures, two drawings, and the shots."""
        shots = f"{len(self.shots)} shot{'s' if len(self.shots) != 1 else ''}"
        span = f"{len(self.frames)} frames of {shots} measured ({self.rule})"
        return "".join(
            (
                f"<h3>{html.escape(name)}</h3>",
                f'<p class="sub">{html.escape(f"{self.film}; {span}")}</p>',
                self._shares(),
                self._errors(),
                self._table(),
            )
        )

    def _shares(self) -> str:
        axes = _Axes(self.frames[0].begin, self.frames[-1].end, 100.0)
        rows = axes.binned(self.frames, self.shots)
        floor, top = [0.0] * len(rows), [100.0] * len(rows)
        supported = [row.supported_percent for row in rows]
        invented = [100 - row.invented_percent for row in rows]
        times = [row.begin for row in rows]
        areas = (
            f'<path class="supported" d="{axes.area(times, floor, supported)}"/>'
            f'<path class="between" d="{axes.area(times, supported, invented)}"/>'
            f'<path class="invented" d="{axes.area(times, invented, top)}"/>'
        )
        legend = (
            '<span class="key supported"></span>supported (expected error of at most 4 code values) '
            '<span class="key between"></span>in between '
            '<span class="key invented"></span>invented (at least 10)'
        )
        return self._figure(axes, areas, "Share of the picture in percent", "%", legend)

    def _errors(self) -> str:
        axes = _Axes(self.frames[0].begin, self.frames[-1].end, max(1.0, *(f.error_high for f in self.frames)) * 1.06)
        rows = axes.binned(self.frames, self.shots)
        times = [row.begin for row in rows]
        band = axes.area(times, [row.error_low for row in rows], [row.error_high for row in rows])
        line = axes.line(times, [row.expected_error for row in rows])
        drawn = f'<path class="spread" d="{band}"/><path class="mean" d="{line}"/>'
        legend = "Expected error in 8-bit code values; a tenth of such pixels lies below the band, a tenth above"
        return self._figure(axes, drawn, "Expected error in code values", "", legend)

    def _figure(self, axes: _Axes, drawn: str, title: str, unit: str, legend: str) -> str:
        label = html.escape(f"{title} over time. The film: {self.film}.", quote=True)
        inside = f"{axes.grid(unit)}{drawn}{''.join(self._marks(axes))}"
        svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{inside}</svg>'
        return f'<figure class="invention"><div class="scroll">{svg}</div><figcaption>{legend}</figcaption></figure>'

    def _marks(self, axes: _Axes) -> Iterator[str]:
        """A line where each shot begins, its number where there is room, and its figures under the pointer."""
        ends = [*(shot.begin for shot in self.shots[1:]), self.frames[-1].end]
        for number, (shot, end) in enumerate(zip(self.shots, ends, strict=True), 1):
            left, right = axes.x(shot.begin), axes.x(end)
            if number > 1:
                yield f'<line class="shot" x1="{left:.1f}" x2="{left:.1f}" y1="4" y2="{_HEIGHT - _BOTTOM}"/>'
            if right - left >= _NUMBERED_PX:
                yield f'<text x="{left + 4:.1f}" y="13">{number}</text>'
            yield (
                f'<rect x="{left:.1f}" y="0" width="{max(0.5, right - left):.1f}" height="{_HEIGHT - _BOTTOM}" '
                f'fill="transparent"><title>Shot {number}, {shot.begin:.2f} to {shot.end:.2f} s: {shot}</title></rect>'
            )

    def _table(self) -> str:
        heads = ("Shot", "From, s", "To, s", "Supported", "Invented", "Expected error")
        rows = "".join(
            f"<tr><td>{number}</td><td>{shot.begin:.3f}</td><td>{shot.end:.3f}</td>"
            f"<td>{shot.supported_percent:.1f} %</td><td>{shot.invented_percent:.1f} %</td>"
            f"<td>{shot.expected_error:.2f}</td></tr>"
            for number, shot in enumerate(self.shots[:_ROWS], 1)
        )
        more = f"<p>and {len(self.shots) - _ROWS} more</p>" if len(self.shots) > _ROWS else ""
        head = "".join(f'<th scope="col">{name}</th>' for name in heads)
        return (
            f"<details><summary>Shots</summary>"
            f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>{more}</details>'
        )


class _Axes:
    """Places in the drawing: seconds from left to right, values from 0 at the bottom to ``most`` at the top."""

    def __init__(self, begin: float, end: float, most: float) -> None:
        self._begin, self._most = begin, most
        self._end = end if end > begin else begin + 1.0

    def x(self, seconds: float) -> float:
        share = (seconds - self._begin) / (self._end - self._begin)
        return _LEFT + min(1.0, max(0.0, share)) * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        share = min(1.0, max(0.0, value / self._most))
        return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)

    def binned(self, frames: Sequence[InventionSpan], shots: Sequence[InventionSpan]) -> list[InventionSpan]:
        """About :data:`_POINTS` of them at most, in order: each shot holds its last value until the next one begins."""
        cuts = {shot.begin for shot in shots[1 : _POINTS + 1]}
        size = math.ceil(len(frames) / _POINTS)
        rows: list[InventionSpan] = []
        bin: list[InventionSpan] = []
        for frame in frames:
            cut = frame.begin in cuts
            if bin and (cut or len(bin) == size):
                rows.append(_mean(bin))
                bin = []
            if cut and rows:
                rows.append(replace(rows[-1], begin=frame.begin))
            bin.append(frame)
        rows.append(_mean(bin))
        return [*rows, replace(rows[-1], begin=self._end)]

    def line(self, times: Sequence[float], values: Sequence[float]) -> str:
        points = [f"{self.x(t):.1f} {self._y(v):.1f}" for t, v in zip(times, values, strict=True)]
        return "M" + "L".join(points)

    def area(self, times: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
        back = self.line(times[::-1], low[::-1])
        return f"{self.line(times, high)}L{back[1:]}Z"

    def grid(self, unit: str) -> str:
        lines = []
        digits = 2 if self._end - self._begin < 20 else 0
        for step in range(5):
            value, seconds = self._most * step / 4, self._begin + (self._end - self._begin) * step / 4
            y, anchor = self._y(value), {0: "start", 4: "end"}.get(step, "middle")
            lines.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            text = f"{value:.0f} {unit}" if unit else f"{value:.1f}"
            lines.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
            place = f'x="{self.x(seconds):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}"'
            lines.append(f"<text {place}>{seconds:.{digits}f} s</text>")
        return "".join(lines)


def _mean(frames: Sequence[InventionSpan]) -> InventionSpan:
    values = {name: math.fsum(getattr(frame, name) for frame in frames) / len(frames) for name in _FIGURES}
    return InventionSpan(begin=frames[0].begin, end=frames[-1].end, **values)

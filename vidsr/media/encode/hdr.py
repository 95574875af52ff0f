"""HDR10 static metadata (SMPTE ST 2086; CTA-861.3) as parameters of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vidsr.codec_table import HdrKeys
from vidsr.media.source import HdrInfo


def hdr_params(keys: HdrKeys, hdr: HdrInfo) -> dict[str, str]:
    """The metadata as parameters of an encoder that takes it by these keys."""
    params = {}
    if hdr.mastering:
        r, g, b, white = (_point(keys, hdr.mastering[i : i + 2]) for i in (0, 2, 4, 6))
        low, high = (_number(keys, value, 10000) for value in hdr.mastering[8:])
        params[keys.display] = f"G{g}B{b}R{r}WP{white}L({high},{low})"
    if hdr.light_level:
        params[keys.light] = f"{hdr.light_level[0]},{hdr.light_level[1]}"
    return params | dict(keys.more)


def _point(keys: HdrKeys, xy: Sequence[Fraction]) -> str:
    return f"({_number(keys, xy[0], 50000)},{_number(keys, xy[1], 50000)})"


def _number(keys: HdrKeys, value: Fraction, units: int) -> str:
    if keys.integers:
        return str(round(value * units))
    return f"{float(value):.6f}".rstrip("0").rstrip(".")

"""HDR10 static metadata in the words of each encoder (SMPTE ST 2086; CTA-861.3)."""

from __future__ import annotations

from fractions import Fraction

from vidsr.media.source import HdrInfo


def hdr_params(encoder: str, hdr: HdrInfo) -> dict[str, str]:
    """Parameters for ``x265-params``, ``x264-params`` or ``svtav1-params``; empty for other encoders."""
    if encoder == "libx265":
        return _x26x(hdr, "master-display", "max-cll") | {"hdr10": "1", "repeat-headers": "1"}
    if encoder == "libx264":
        return _x26x(hdr, "mastering-display", "cll")
    if encoder == "libsvtav1":
        return _svt(hdr)
    return {}


def _x26x(hdr: HdrInfo, display_key: str, light_key: str) -> dict[str, str]:
    """Chromaticities in units of 0.00002, luminances in units of 0.0001 cd/m²."""
    params = {}
    if hdr.mastering:
        r, g, b, w = (hdr.mastering[i : i + 2] for i in (0, 2, 4, 6))
        low, high = hdr.mastering[8:]
        text = "".join(f"{name}({_n(p[0], 50000)},{_n(p[1], 50000)})" for name, p in zip("GBR", (g, b, r), strict=True))
        params[display_key] = f"{text}WP({_n(w[0], 50000)},{_n(w[1], 50000)})L({_n(high, 10000)},{_n(low, 10000)})"
    if hdr.light_level:
        params[light_key] = f"{hdr.light_level[0]},{hdr.light_level[1]}"
    return params


def _svt(hdr: HdrInfo) -> dict[str, str]:
    params = {}
    if hdr.mastering:
        r, g, b, w = (hdr.mastering[i : i + 2] for i in (0, 2, 4, 6))
        low, high = hdr.mastering[8:]
        text = "".join(f"{name}({_f(p[0])},{_f(p[1])})" for name, p in zip("GBR", (g, b, r), strict=True))
        params["mastering-display"] = f"{text}WP({_f(w[0])},{_f(w[1])})L({_f(high)},{_f(low)})"
    if hdr.light_level:
        params["content-light"] = f"{hdr.light_level[0]},{hdr.light_level[1]}"
    return params


def _n(value: Fraction, units: int) -> int:
    return round(value * units)


def _f(value: Fraction) -> str:
    return f"{float(value):.6f}".rstrip("0").rstrip(".")

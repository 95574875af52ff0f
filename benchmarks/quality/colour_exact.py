"""Colour of results to the code value: ``python -m benchmarks.quality.colour_exact [--quick]``.

Small clips in every layout, depth, matrix, range and chroma location that vidsr reads go through the real ``enhance``
with a network that changes nothing and an encoder that is lossless or nearly so; ffmpeg decodes source and result.
Prints mean and greatest difference in code values of 8 bits for each layout and codec, and fails above 0.6 and 3.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.clips import ClipFactory, picture
from tests.support.networks import identity_model
from tests.support.oracle import colour_error
from vidsr.jobs.enhance import enhance
from vidsr.media.probe import probe

#: matrix, primaries, transfer
COLOURS = (
    ("bt709", "bt709", "bt709"),
    ("smpte170m", "smpte170m", "smpte170m"),
    ("bt470bg", "bt470bg", "bt470bg"),
    ("bt2020nc", "bt2020", "bt2020-10"),
)
#: For 10 bits and more: what is HDR is never stored in 8.
HDR = (("bt2020nc", "bt2020", "smpte2084"), ("bt2020nc", "bt2020", "arib-std-b67"))
_NEAR = {
    "h264": {"preset": "ultrafast", "encoder_options": ("x264-params=qp=1",)},
    "hevc": {"preset": "ultrafast", "encoder_options": ("x265-params=lossless=1",)},
    "vp9": {"preset": "8", "crf": 0.0, "encoder_options": ("lossless=1",)},
    "av1": {"preset": "12", "crf": 1.0},
    "prores": {"encoder_options": ("profile=4", "bits_per_mb=8000")},
}
#: layout → codecs that hold it as it is
LAYOUTS = {
    "yuv420p": ("h264", "vp9", "av1", "ffv1"),
    "yuv422p": ("h264", "ffv1"),
    "yuv444p": ("h264", "vp9"),
    "yuv411p": ("ffv1",),
    "yuv440p": ("ffv1",),
    "yuv420p10le": ("h264", "hevc", "av1"),
    "yuv422p10le": ("hevc", "prores"),
    "yuv444p10le": ("h264", "prores"),
    "yuv440p10le": ("ffv1",),
    "yuv420p12le": ("hevc", "ffv1"),
    "yuv422p12le": ("hevc",),
    "yuv444p12le": ("hevc",),
    "yuva420p": ("vp9", "ffv1"),
    "yuva422p10le": ("ffv1",),
    "yuva444p10le": ("prores", "ffv1"),
    "gray": ("h264", "ffv1"),
    "gray10le": ("hevc", "ffv1"),
    "gray12le": ("hevc", "ffv1"),
}
#: layouts of RGB, which have no matrix and no range
RGB = {"gbrp": ("ffv1",), "gbrp10le": ("ffv1",), "gbrp12le": ("ffv1",), "gbrap": ("ffv1",), "pal8": ("ffv1",)}
LOCATIONS = ("left", "center", "topleft")


@dataclass(frozen=True)
class Case:
    """One clip and the codec of its result. ``compared`` is the layout in which the two are compared."""

    layout: str
    codec: str
    colour: tuple[str, str, str] | None = None
    span: str = "tv"
    location: str | None = None

    @property
    def compared(self) -> str:
        """Palettes are compared as RGB."""
        return "gbrp" if self.layout == "pal8" else self.layout

    def make(self, clips: ClipFactory) -> Path:
        """The source."""
        alpha = ",format=yuva444p,colorchannelmixer=aa=0.5" if self.layout[:4] in ("yuva", "gbra") else ""
        source = picture(seconds=0.25, extra=alpha)
        if self.colour is None:
            codec = ("-c:v", "png") if self.layout == "pal8" else ("-c:v", "ffv1")
            return clips.make(f"{self.layout}.{'mov' if self.layout == 'pal8' else 'mkv'}", *source, *codec, "-pix_fmt",
                              self.layout)  # fmt: skip
        matrix, primaries, transfer = self.colour
        filters = f"scale=out_color_matrix={matrix}:out_range={self.span},format={self.layout}," + (
            f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range={self.span}"
        )
        if self.location is None:
            return clips.make("x.mkv", *source, "-vf", filters, "-c:v", "ffv1", "-pix_fmt", self.layout)
        number = LOCATIONS.index(self.location)
        return clips.make("x.mkv", *source, "-vf", filters, "-c:v", "libx264", "-qp", "1", "-pix_fmt", self.layout,
                          "-bsf:v", f"h264_metadata=chroma_sample_loc_type={number}")  # fmt: skip


def cases(*, quick: bool) -> Iterator[Case]:
    """All cases; ``quick``: two colours only."""
    for (layout, codecs), span in itertools.product(LAYOUTS.items(), ("tv", "pc")):
        colours = COLOURS + HDR * ("1" in layout.removeprefix("yuv411p").removeprefix("yuv410p"))
        for codec, colour in itertools.product(codecs, colours[::3] if quick else colours):
            if codec != "prores" or span == "tv":  # ProRes knows limited range only
                yield Case(layout, codec, colour, span)
    for layout, codecs in RGB.items():
        yield from (Case(layout, codec) for codec in codecs)
    for location, codec in itertools.product(LOCATIONS, ("h264", "hevc", "av1", "ffv1")):
        yield Case("yuv420p", codec, COLOURS[0], "tv", location)


def main() -> int:
    """Run all cases, print the table, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["VIDSR_STATE"] = str(folder / "state")
        clips, model = ClipFactory(folder / "clips"), str(identity_model(folder))
        for case in cases(quick=parser.parse_args().quick):
            source, output = case.make(clips), folder / "out.mkv"
            enhance(source, output, model=model, scale=1, codec=case.codec, overwrite=True, **_NEAR.get(case.codec, {}))
            before = ("-c:v", "libvpx-vp9") if probe(output).video.decoder else ()
            mean, worst = colour_error(source, output, case.compared, *before)
            found[case.layout, case.codec].append((mean, worst))
            if mean > 0.6 or worst > 3:
                wrong += 1
                print(f"WRONG: {case}: mean {mean:.3f}, max {worst:.2f}", flush=True)
    for (layout, codec), errors in found.items():
        mean, worst = (max(values) for values in zip(*errors, strict=True))
        print(f"{layout:13} {codec:7} {len(errors):3} clips  mean {mean:.3f}  max {worst:.2f}")
    means, maxima = zip(*itertools.chain(*found.values()), strict=True)
    print(f"{len(means)} clips: mean at most {max(means):.3f}, max at most {max(maxima):.2f}; {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

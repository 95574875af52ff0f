"""The video codecs: one row each. A codec is added here and nowhere else.

``--codec``, the containers of each codec, estimates of size, HDR metadata, the encoder's settings and the checks of
``verify`` all follow from its row. Pure data, so that options may import it; ``media/encode/codecs.py`` works with it.
"""

from __future__ import annotations

from dataclasses import dataclass

ParameterPairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HdrKeys:
    """How an encoder takes HDR10 static metadata, among the parameters of ``params_key``.

    ``integers``: chromaticities in units of 0.00002 and luminances in 0.0001 cd/m², else decimal numbers. ``steps``
    are the fractions of a unit in which the codec stores chromaticities, least and greatest luminance, where they
    are coarser than SMPTE ST 2086's. ``more`` are parameters that go with them.
    """

    display: str
    light: str
    integers: bool
    steps: tuple[int, int, int] | None = None
    more: ParameterPairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecEntry:
    """One encoder, and what is special about its codec.

    Fields with a default hold the answer of codecs that have nothing special in that respect.
    """

    name: str
    #: FFmpeg's name of the encoder.
    encoder: str
    #: Codec of the packets where it is not ``name``: "h264" for h264_nvenc.
    family: str = ""
    #: Whether it needs hardware; the codec of its family takes its place where that is missing.
    hardware: bool = False
    #: FFmpeg pixel formats, in order of preference.
    formats: tuple[str, ...]
    #: Pixel format → the packed one of the same samples that the encoder takes instead.
    packed: ParameterPairs = ()
    #: Suffixes of the containers that hold it; for a family, the row of the family says it.
    containers: tuple[str, ...] = ()
    #: Default of ``--crf`` and the encoder's name for it; None: no constant quality.
    crf: float | None = None
    crf_key: str = "crf"
    #: Default of ``--preset``, the encoder's name for it, and all it may be; None: the encoder has to judge.
    preset: str | None = None
    preset_key: str = "preset"
    presets: tuple[str, ...] | None = None
    #: Options that are always given, and the parameters joined into the option ``params_key``.
    options: ParameterPairs = ()
    params_key: str | None = None
    params: ParameterPairs = ()
    #: Parameters on processors with AVX-512 without which the same frames give different bytes from run to run.
    params_with_avx512: ParameterPairs = ()
    #: Parameter for the number of threads, where the encoder ignores the library's.
    threads_param: str | None = None
    #: Whether the number of slices is set by size, since the encoder's own choice follows the threads.
    sliced: bool = False
    #: Whether 4:2:0 and 4:2:2 need even sides.
    even: bool = False
    #: Frames per second that it accepts at most.
    max_rate: int | None = None
    #: Codes of the matrices that its bits can name; None: all.
    matrices: frozenset[int] | None = None
    #: Whether it has limited range only.
    limited_range: bool = False
    #: Chroma locations that its bits can name, in addition to "left" and none at all; None: all.
    chroma_locations: frozenset[str] | None = frozenset()
    #: Whether alpha is a second picture next to each packet, which only Matroska and WebM can hold.
    alpha_aside: bool = False
    #: Whether alpha is stored without loss.
    exact_alpha: bool = False
    #: How HDR metadata is handed over; None: it does not store it.
    hdr: HdrKeys | None = None
    #: Bits per luma sample on live-action footage at the default quality, on the safe side of what was measured.
    bits_per_pixel: float = 0.3
    #: Whether that is for 8 bits per sample and grows with them.
    bits_by_depth: bool = False

    @property
    def base(self) -> str:
        """The codec of its packets: "h264" for h264 and for h264_nvenc."""
        return self.family or self.name

    def keeps_location(self, location: str | None) -> bool:
        """Whether its bits can say where chroma samples lie."""
        return location in (None, "left") or self.chroma_locations is None or location in self.chroma_locations


def _depths(names: str, *depths: int) -> tuple[str, ...]:
    return tuple(n if d == 8 else f"{n}{d}le" for d in depths for n in names.split())


def _nvenc(family: str, formats: tuple[str, ...], packed: ParameterPairs = ()) -> CodecEntry:
    return CodecEntry(
        name=f"{family}_nvenc",
        encoder=f"{family}_nvenc",
        family=family,
        formats=formats,
        packed=packed,
        crf=19,
        crf_key="cq",
        preset="p5",
        options=(("rc", "vbr"), ("b", "0")),
        even=True,
        hardware=True,
    )


#: Of x264 and x265, fastest first.
_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)

_ROWS = (
    CodecEntry(
        name="h264",
        encoder="libx264",
        formats=_depths("yuv420p yuv422p yuv444p", 8, 10),
        containers=(".mkv", ".mp4", ".m4v", ".mov", ".nut"),
        crf=17,
        preset="medium",
        presets=_X26X_PRESETS,
        params_key="x264-params",
        # Without it x264 writes its own settings into the parameter sets, and segments may differ there.
        params=(("stitchable", "1"),),
        # x264's AVX-512 code for macroblock trees reads memory that nobody wrote: with it, one segment in five
        # differed from run to run. Its AVX2 code does not; see docs/decisions/035-x264-avx512.md.
        params_with_avx512=(("asm", "avx2"),),
        even=True,
        chroma_locations=None,
        hdr=HdrKeys(display="mastering-display", light="cll", integers=True),
        bits_per_pixel=0.25,
    ),
    CodecEntry(
        name="hevc",
        encoder="libx265",
        formats=_depths("yuv420p yuv422p yuv444p", 8, 10, 12),
        containers=(".mkv", ".mp4", ".m4v", ".mov", ".nut"),
        crf=18,
        preset="medium",
        presets=_X26X_PRESETS,
        params_key="x265-params",
        # x265's settings text in the parameter sets changes with the thread count.
        params=(("info", "0"), ("log-level", "error")),
        # x265 ignores the thread count of the library around it and sizes its own pool.
        threads_param="pools",
        even=True,
        chroma_locations=None,
        hdr=HdrKeys(
            display="master-display", light="max-cll", integers=True, more=(("hdr10", "1"), ("repeat-headers", "1"))
        ),
        bits_per_pixel=0.15,
    ),
    CodecEntry(
        name="av1",
        encoder="libsvtav1",
        formats=_depths("yuv420p", 8, 10),
        containers=(".mkv", ".mp4", ".webm", ".nut"),
        crf=24,
        preset="8",
        presets=tuple(str(number) for number in range(-1, 14)),
        params_key="svtav1-params",
        max_rate=240,
        chroma_locations=frozenset({"topleft"}),
        # AV1 specification, 6.7.4.
        hdr=HdrKeys(
            display="mastering-display", light="content-light", integers=False, steps=(1 << 16, 1 << 14, 1 << 8)
        ),
        bits_per_pixel=0.12,
    ),
    CodecEntry(
        name="vp9",
        encoder="libvpx-vp9",
        # Not 4:4:0, which MP4 cannot describe; alpha only with 4:2:0, which is all that libvpx encodes.
        formats=(*_depths("yuv420p yuv422p yuv444p", 8, 10, 12), "yuva420p"),
        containers=(".mkv", ".mp4", ".webm", ".nut"),
        crf=20,
        preset="2",
        preset_key="cpu-used",
        presets=tuple(str(number) for number in range(-8, 9)),
        options=(("b", "0"), ("row-mt", "1"), ("deadline", "good")),
        matrices=frozenset({1, 5, 6, 7, 9}),
        alpha_aside=True,
        bits_per_pixel=0.15,
    ),
    CodecEntry(
        name="ffv1",
        encoder="ffv1",
        formats=(
            *_depths("gray", 8, 10, 12, 16),
            *_depths("yuv420p yuv422p yuv444p", 8, 9, 10, 12, 14, 16),
            *_depths("yuv440p", 8, 10, 12),
            "yuv411p",
            "yuv410p",
            *_depths("yuva420p yuva422p yuva444p", 8, 9, 10, 16),
            *_depths("gbrp", 8, 9, 10, 12, 14, 16),
            *_depths("gbrap", 8, 10, 12, 14, 16),
        ),
        packed=(("gbrp", "bgr0"), ("gbrap", "bgra")),
        containers=(".mkv", ".nut"),
        presets=(),
        options=(("level", "3"), ("slicecrc", "1"), ("g", "1")),
        sliced=True,
        exact_alpha=True,
        # Lossless: about half of the samples' bits remain.
        bits_per_pixel=8.0,
        bits_by_depth=True,
    ),
    CodecEntry(
        name="prores",
        encoder="prores_ks",
        formats=("yuv422p10le", "yuv444p10le", "yuva444p10le"),
        containers=(".mkv", ".mov"),
        presets=(),
        options=(("vendor", "apl0"),),
        limited_range=True,
        exact_alpha=True,
        # Fixed by the specification of ProRes 422.
        bits_per_pixel=3.6,
    ),
    _nvenc("h264", ("yuv420p", "yuv444p")),
    _nvenc("hevc", ("yuv420p", "yuv444p", "yuv420p10le"), packed=(("yuv420p10le", "p010le"),)),
    _nvenc("av1", ("yuv420p", "yuv420p10le"), packed=(("yuv420p10le", "p010le"),)),
)

#: Name for ``--codec`` → its row.
CODECS: dict[str, CodecEntry] = {row.name: row for row in _ROWS}
#: The value of ``--codec`` that leaves the choice to ``media/encode/codec_choice.py``.
AUTO_CODEC = "auto"
#: The codec of that choice wherever nothing speaks against it.
DEFAULT_CODEC = "h264"

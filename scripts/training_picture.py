"""Draw a picture of what two models make of the same low-resolution frame: bicubic, the models, the original.

python -m scripts.training_picture tiny-psnr.safetensors tiny-gan.safetensors docs/images/training-tiny.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vidsr.models.checkpoint import load
from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.training.dataset.image_files import read_rgb, write_png
from vidsr.training.validation import enlarge

SAMPLE = Path(__file__).parent.parent / "samples" / "bigbuckbunny-320x180.png"
# Left, top, right, lower edge of the part that is shown, in pixels of the original.
CROP = (80, 0, 240, 120)
ZOOM = 2


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    high = torch.from_numpy(read_rgb(SAMPLE)).permute(2, 0, 1)
    low = resize_bicubic_uint8(high, 0.25)
    results = [resize_bicubic_uint8(low, 4).float() / 255]
    results += [enlarge(load(path).network, low[None], 4, 512)[0] for path in arguments.models]
    left, top, right, bottom = CROP
    parts = []
    for picture in (*results, high.float() / 255):
        pixels = (picture.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()[top:bottom, left:right]
        size = ((right - left) * ZOOM, (bottom - top) * ZOOM)
        parts.append(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_png(arguments.out, np.concatenate(parts, axis=1))


if __name__ == "__main__":
    main()

"""The memory of a very large picture: reads, blocks and writes a 16-bit grey TIFF, a resampler in the network's place.

    python -m benchmarks.robustness.large_picture [SIDE] [SCALE] [zlib|lzw|jpeg]

The source is tiled with zlib, or in strips with LZW, or in strips of 8-bit JPEG; another process makes it.
Prints size, seconds and the peak memory of the process. The network's own memory is bounded by its blocks of
1024x256 pixels and does not depend on the picture.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from vidsr.frames import Array
from vidsr.jobs.stills.picture import enhance_picture
from vidsr.options.enhance_options import EnhanceOptions


class Resampler:
    """Bicubic interpolation, at the interface of a network."""

    scale = 1

    def picture(self, picture: Array, size: tuple[int, int] | None = None) -> Array:
        """The grey picture at ``size``."""
        return np.asarray(Image.fromarray(picture).resize(size or picture.shape[::-1], Image.Resampling.BICUBIC))


def strips(side: int) -> Any:
    """A pattern with noise, tile by tile, so that the source never is in memory as a whole."""
    random = np.random.default_rng(0)
    for top in range(0, side, 256):
        for left in range(0, side, 256):
            y, x = np.mgrid[top : top + 256, left : left + 256]
            yield (20000 + 9000 * np.sin(x / 90) * np.cos(y / 70) + random.normal(0, 200, x.shape)).astype(np.uint16)


def make(source: Path, side: int, compression: str) -> None:
    """Write the source."""
    if compression == "zlib":
        shape = {"shape": (side, side), "dtype": np.uint16, "tile": (256, 256)}
        tifffile.imwrite(source, strips(side), compression="zlib", maxworkers=1, **shape)
        return
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    values = (20000 + 9000 * np.sin(x / 90) * np.cos(y / 70)).astype(np.uint16)
    pixels = values if compression == "lzw" else (values >> 8).astype(np.uint8)
    Image.fromarray(pixels).save(source, compression={"lzw": "tiff_lzw", "jpeg": "jpeg"}[compression])


def main(side: int, scale: float, compression: str) -> None:
    """Make, enhance, print."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.tif", Path(folder) / "out.tif"
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(source, side, compression))
        maker.start()
        maker.join()
        made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.perf_counter()
        result = enhance_picture(source, output, EnhanceOptions.from_flat({"scale": scale}), Resampler())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds, megabytes = time.perf_counter() - begin, output.stat().st_size / 1e6
        kind = "8-bit grey" if compression == "jpeg" else "16-bit grey"
        print(
            f"{side}x{side} → {result.size[0]}x{result.size[1]}, {kind}, {compression}: {seconds:.0f} s, "
            f"peak memory {peak / 1024:.0f} MiB ({made / 1024:.0f} MiB before), result {megabytes:.0f} MB"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", nargs="?", type=int, default=20000, help="pixels of each side of the source")
    parser.add_argument("scale", nargs="?", type=float, default=1)
    parser.add_argument("compression", nargs="?", choices=("zlib", "lzw", "jpeg"), default="zlib")
    given = parser.parse_args()
    main(given.side, given.scale, given.compression)

"""The same frames give the same segment, whatever lay in the memory that the encoder got."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.clips import ClipFactory, picture
from tests.support.places import child_environment

SCRIPT = """
import hashlib, sys
from pathlib import Path
from vidsr.media.decode import read_frames
from vidsr.media.encode.encoder import SegmentEncoder
from vidsr.media.index import index_video
from vidsr.media.encode.encoder_plan import prepare
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EnhanceOptions

source, folder, codec = sys.argv[1:]
info = probe(Path(source))
index = index_video(info)
settings = prepare(info, EnhanceOptions.from_flat({"scale": 1.0, "codec": codec}), 1).settings
for number in range(3):
    path = Path(folder) / f"{number}.nut"
    with SegmentEncoder(path, settings) as encoder:
        for frame in read_frames(info, 0, None, index):
            encoder.write(frame)
    print(hashlib.sha256(path.read_bytes()).hexdigest())
"""


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_a_segment_encoded_again_is_the_same_file(codec: str, clips: ClipFactory, tmp_path: Path) -> None:
    size = picture(size="192x128", seconds=0.5, extra=",noise=alls=8:allf=t")
    source = clips.make("noisy.mkv", *size, "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    digests = set()
    for fill in ("85", "170"):
        done = processes.run(
            [sys.executable, "-c", SCRIPT, str(source), str(tmp_path), codec],
            capture_output=True,
            text=True,
            check=True,
            env=child_environment(MALLOC_PERTURB_=fill),
        )
        digests.update(done.stdout.split())
    assert len(digests) == 1


def test_av1_is_encoded_in_silence_and_the_environment_is_left_alone(clips: ClipFactory, tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from vidsr.media.check.preflight import preflight
from vidsr.media.encode.encoder_plan import prepare
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EnhanceOptions
options = EnhanceOptions.from_flat({"codec": "av1", "preset": "13"})
before = dict(os.environ)
made = prepare(probe(sys.argv[1]), options, 1)
preflight(made.info, made.settings, Path("x.mkv"), options)
assert dict(os.environ) == before
"""
    environment = {key: value for key, value in os.environ.items() if key != "SVT_LOG"}
    command = [sys.executable, "-c", program, str(clips("basic"))]
    done = processes.run(command, capture_output=True, check=False, env=environment, text=True)
    assert (done.returncode, done.stderr) == (0, "")

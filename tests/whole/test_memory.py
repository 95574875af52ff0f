"""Memory does not grow with the length of the film, whichever stage is the slow one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.clips import ClipFactory, picture

# A process of its own for each measurement, since a peak never goes down again.
MEASURE = """
import sys, time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from vidsr.media.decode import read_frames
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.index import index_video
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EncodeOptions
from vidsr.pipeline.segment import run_segment

source, target, slow = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
info = probe(source)
index = index_video(info)

def wait(stage):
    if stage == slow:
        time.sleep(0.004)

def decode():
    for frame in read_frames(info, 0, None, index):
        wait("decode")
        yield frame

def double(frames):
    for frame in frames:
        wait("infer")
        yield replace(frame, planes=tuple(p.repeat(2, 0).repeat(2, 1) for p in frame.planes))

class Throttled(SegmentEncoder):
    def write(self, frame):
        wait("encode")
        super().write(frame)

size = (info.video.width * 2, info.video.height * 2)
settings = EncoderSettings.for_source(info.video, EncodeOptions(codec="h264", preset="ultrafast"), size, threads=1)
with Throttled(target, settings) as encoder:
    stats = run_segment(decode(), double, encoder)
# Not getrusage: its peak begins with that of the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(stats.frames, status["VmHWM"].split()[0])
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("slow", ["decode", "infer", "encode"])
def test_peak_memory_is_flat(slow: str, clips: ClipFactory, tmp_path: Path) -> None:
    peaks = {}
    for count in (80, 320):
        source = clips.make(
            f"{count}.mkv",
            *picture(size="240x136", rate="25", seconds=count / 25),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        )
        command = [sys.executable, "-c", MEASURE, str(source), str(tmp_path / f"{count}.nut"), slow]
        done = processes.run(command, capture_output=True, text=True, check=True)
        frames, peak = map(int, done.stdout.split())
        assert frames == count
        peaks[count] = peak
    print(f"slow {slow}: peak of 80 frames {peaks[80] / 1024:.1f} MiB, of 320 frames {peaks[320] / 1024:.1f} MiB")
    assert peaks[320] <= 1.05 * peaks[80], peaks

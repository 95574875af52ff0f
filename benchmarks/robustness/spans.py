"""Enhance random parts of difficult clips: ``python -m benchmarks.robustness.spans [--count 200] [--seed 1]``.

Each part is given by frame numbers, by the times of its frames to the millisecond, or by times between frames, and
enhanced with a network that changes nothing. ffmpeg decodes source and result: the MD5 of every frame must be the same,
their distances too, and the sound must be the packets that overlap the part (or exactly its samples, for every other
part of clips whose sound numbers its own samples) at the distance from the picture that it had. Prints the faults and a
line for each clip; exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.support.clips import ClipFactory
from tests.support.networks import identity_model
from tests.support.spans import CLIPS, judge, random_part, take
from vidsr.errors import VidsrError


def main() -> int:
    """Run, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clip", action="append", choices=CLIPS, help="only this clip; may be repeated")
    asked = parser.parse_args()
    names = asked.clip or list(CLIPS)
    wrong = done = 0
    with tempfile.TemporaryDirectory(prefix="vidsr-spans-") as folder:
        os.environ["VIDSR_STATE"] = f"{folder}/state"
        place = Path(folder)
        clips, model = ClipFactory(place / "clips"), identity_model(place)
        for number, name in enumerate(names):
            begin, count = time.process_time(), len(range(number, asked.count, len(names)))
            faults = list(_clip(name, count, asked.seed, clips, model))
            for fault in faults:
                print(f"WRONG: {name}: {fault}")
            done, wrong = done + count, wrong + len(faults)
            print(f"{name}: {count} parts, {len(faults)} wrong, {time.process_time() - begin:.0f} s of CPU", flush=True)
    print(f"{done} parts of {len(names)} clips, {wrong} wrong, seed {asked.seed}")
    return 1 if wrong else 0


def _clip(name: str, count: int, seed: int, clips: ClipFactory, model: Path) -> list[str]:
    """The faults of ``count`` random parts of one clip."""
    clip, rng, faults = CLIPS[name], random.Random(f"{seed} {name}"), []
    source, output = clip.make(clips), clips.folder / "part.mkv"
    for number in range(count):
        part, exact = random_part(source, clip, rng), clip.exact and number % 2 == 1
        try:
            take(source, output, model, part, codec="ffv1", exact_sound=exact, restart=True)
            found = judge(source, output, part, exact=exact, times=clip.times)
        except VidsrError as error:
            found = [str(error)]
        faults += [f"{part}: {fault}" for fault in found]
    return faults


if __name__ == "__main__":
    sys.exit(main())

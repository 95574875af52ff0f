"""Damaged files: mutants of small clips in twelve containers, each through the real ``enhance``.

Mutants are made by bit flips, cuts, spliced heads, swapped blocks, zeroed and repeated ranges, with fixed seeds. Each
runs in a process with a limit on memory and time, and must end in a verified result or in one ``VidsrError`` of one
line, and leave no file behind. ``python -m tests.support.fuzz MODEL`` is that process.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.support import processes
from tests.support.clips import ClipFactory
from tests.support.hazards.catalogue import by_name
from tests.support.networks import identity_model
from tests.support.places import child_environment
from vidsr.errors import VidsrError
from vidsr.jobs.enhance import enhance

#: Hazards that mutants are made from: one for each container, and some more codecs.
SEEDS = (
    "plain", "silent", "rich-mkv", "rich-mp4", "start-10s", "mpeg-ps", "avi-bframes", "flv", "wmv", "opus-vp9",
    "theora-ogg", "mxf", "uyvy", "y4m", "ivf", "raw-h264", "raw-hevc", "gif", "timecode", "interlaced-bff", "fragments",
)  # fmt: skip
LIMIT_SECONDS, LIMIT_BYTES = 60.0, 6 << 30


@dataclass(frozen=True)
class Verdict:
    """What came of one mutant: "verified", "refused", or a fault."""

    name: str
    state: str
    text: str
    seconds: float


def mutate(data: bytes, other: bytes, chance: random.Random) -> tuple[str, bytes]:
    """(kind of damage, damaged copy); ``other`` is the file that heads are spliced from."""
    kind = chance.choice(("flips", "burst", "cut", "head", "splice", "zeros", "repeat", "swap", "length"))
    out = bytearray(data)
    size = len(out)
    at = chance.randrange(size)
    span = chance.randint(1, max(1, size // 8))
    if kind == "flips":
        for _ in range(chance.randint(1, 60)):
            out[chance.randrange(size)] ^= 1 << chance.randrange(8)
    elif kind == "burst":
        out[at : at + span] = chance.randbytes(len(out[at : at + span]))
    elif kind == "cut":
        del out[at:]
    elif kind == "head":
        for _ in range(chance.randint(1, 12)):
            out[chance.randrange(min(size, 512))] = chance.randrange(256)
    elif kind == "splice":
        head = chance.randint(1, min(len(other), 4096))
        out[:head] = other[:head]
    elif kind == "zeros":
        out[at : at + span] = bytes(len(out[at : at + span]))
    elif kind == "repeat":
        out[at:at] = out[at : at + span]
    elif kind == "swap":
        there = chance.randrange(size)
        out[at : at + 512], out[there : there + 512] = out[there : there + 512], out[at : at + 512]
    else:  # a length field blown up
        out[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00"))
    return kind, bytes(out)


def mutants(folder: Path, count: int, seed: int) -> Iterator[tuple[str, Path]]:
    """Make ``count`` damaged files, one at a time."""
    clips = ClipFactory(folder / "clips")
    clips.folder.mkdir()
    sources = [by_name(name).make(clips) for name in SEEDS]
    datas = [path.read_bytes() for path in sources]
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        which, other = number % len(sources), chance.randrange(len(sources))
        kind, data = mutate(datas[which], datas[other], chance)
        path = folder / "mutants" / f"{number:04d}-{SEEDS[which]}-{kind}{sources[which].suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        yield f"{SEEDS[which]}, {kind}, {number}", path


class Worker:
    """A process that enhances one file after another; restarted after it had to be ended."""

    def __init__(self, folder: Path, number: int, model: Path) -> None:
        self._folder = folder / f"worker{number}"
        self._folder.mkdir()
        self._model = model
        self._process: processes.Child | None = None
        self._end = contextlib.ExitStack()

    def run(self, name: str, path: Path) -> Verdict:
        """Enhance one mutant."""
        process = self._process
        if process is None or process.poll() is not None:
            self.close()
            process = self._start()
        begin = time.perf_counter()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(path), str(self._folder / "out.mkv")]) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_SECONDS)
        line = process.stdout.readline() if ready else ""
        seconds = time.perf_counter() - begin
        if not ready:
            process.kill()
            process.communicate(timeout=processes.LIMIT_SECONDS)
            verdict = Verdict(name, "HUNG", f"more than {LIMIT_SECONDS:.0f} s", seconds)
        elif not line:
            verdict = Verdict(name, "DIED", f"exit status {process.wait(processes.LIMIT_SECONDS)}", seconds)
        else:
            state, text = json.loads(line)
            verdict = Verdict(name, state, text, seconds)
        left = [p.name for p in self._folder.iterdir() if p.name != "out.mkv" or verdict.state != "verified"]
        if left and verdict.state in ("verified", "refused"):
            verdict = Verdict(name, "LEFT", f"left behind: {left}; {verdict.text}", seconds)
        for entry in self._folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return verdict

    def _start(self) -> processes.Child:
        command = [sys.executable, "-m", "tests.support.fuzz", str(self._model)]
        child = processes.started(
            command,
            limit_seconds=threading.TIMEOUT_MAX,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(VIDSR_STATE=str(self._folder.parent / "state")),
        )
        self._process = self._end.enter_context(child)
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._end, contextlib.suppress(BrokenPipeError):
                self._process.communicate(timeout=30)


def child(model: str) -> None:
    """Enhance the files named on standard input, one JSON line each; answer [state, text]."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print goes elsewhere
    for line in sys.stdin:
        source, output = json.loads(line)
        try:
            enhance(source, output, model=model, scale=1, codec="ffv1", restart=True)
            answer = ("verified", "")
        except VidsrError as error:
            text = str(error)
            answer = ("refused" if "\n" not in text else "LINES", text)
        except BaseException as error:
            answer = ("CRASHED", f"{type(error).__name__}: {error}")
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def run(count: int, seed: int, jobs: int) -> list[Verdict]:
    """All verdicts on ``count`` mutants."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = identity_model(folder)
        workers = [Worker(folder, number, model) for number in range(jobs)]
        work = list(mutants(folder, count, seed))

        def share(number: int) -> list[Verdict]:
            verdicts = []
            for title, path in work[number::jobs]:
                verdicts.append(workers[number].run(title, path))
                path.unlink()
            workers[number].close()
            return verdicts

        with ThreadPoolExecutor(jobs) as pool:
            return [verdict for part in pool.map(share, range(jobs)) for verdict in part]


if __name__ == "__main__":
    child(sys.argv[1])

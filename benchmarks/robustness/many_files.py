"""A folder of 60 mixed files, enhanced as one queue that is killed five times at random and resumed.

    python -m benchmarks.robustness.many_files
    python -m benchmarks.robustness.many_files --seed 7 --kills 12 --workers 2

The folder holds 39 videos in six containers and 5 pictures in nested folders, with names of blanks, umlauts, emoji and
bytes that are not UTF-8, two of which would have the same result; 12 broken files (empty, text, noise, no video, a dead
link, a pipe, a cut-off header); 3 that grow all the time; and a text file. It is first enhanced in peace. Then the same
queue is run into another folder while the three files grow, killed with SIGKILL at random moments, and run to its end:

- every good file is done, every bad one named with its reason, those that grow are left for another run;
- once these are complete, the same command does them and nothing else;
- all results are the files made in peace, byte for byte; none was written twice; nothing else is left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support import mixed_folder
from tests.support.mixed_folder import Growth, MixedFolder
from tests.support.networks import identity_model
from tests.support.places import child_environment


def results(folder: Path) -> dict[str, Path]:
    """Every result by its place. A queue may be at work in the folder: its job folders come and go."""
    found = []
    for here, names, files in os.walk(folder):
        names[:] = [name for name in names if not name.endswith(".vidsr-job")]
        found += [Path(here) / name for name in files if not name.startswith("vidsr-report")]
    return {str(path.relative_to(folder)): path for path in sorted(found)}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start the command line in a process of its own."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "vidsr", *command], stdout=out, stderr=out, env=child_environment()
        )


def kill_at(command: list[str], log: Path, out: Path, made: int, delay: float) -> bool:
    """Run the command, and kill it ``delay`` seconds after ``made`` results are there; False if it ended before."""
    with start(command, log) as work:
        moment = None
        while work.poll() is None:
            if moment is None and len(results(out)) >= made:
                moment = time.monotonic() + delay
            if moment is not None and time.monotonic() >= moment:
                work.send_signal(signal.SIGKILL)
                work.wait()
                return True
            time.sleep(0.01)
    return False


def report_of(out: Path) -> dict[str, tuple[str, str]]:
    """State and reason of every file by the report."""
    report = json.loads((out / "vidsr-report.json").read_text())
    return {file["name"]: (file["state"], file["reason"]) for file in report["files"]}


def count_states(out: Path) -> dict[str, int]:
    """How many files are in each state by the report."""
    return dict(Counter(state for state, _ in report_of(out).values()))


def check(made: MixedFolder, report: dict[str, tuple[str, str]], growing: str) -> list[str]:
    """What the report does not say as it should."""
    wanted = {
        **dict.fromkeys(made.good, "done"),
        **dict.fromkeys(made.broken, "refused"),
        **dict.fromkeys(made.growing, growing),
        **dict.fromkeys(made.foreign, "skipped"),
    }
    found = {name: report.get(name, ("missing", "")) for name in wanted}
    return [
        f"{name!r} is {found[name][0]}, not {state}: {found[name][1]}"
        for name, state in wanted.items()
        if found[name][0] != state
    ]


def main(argv: list[str] | None = None) -> int:
    """Run it and print what was found; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="vidsr-queue-") as name:
        os.environ["VIDSR_STATE"] = str(Path(name) / "state")
        found = Trial(Path(name), chosen.workers)
        found.in_peace()
        found.killed(chosen.kills, random.Random(chosen.seed))
        found.grown_up()
        count = found.compared()
    for fault in found.faults:
        print(fault)
    verdict = "NOT as in peace" if found.faults else f"the same bytes; {count} results, each done once"
    print(f"{found.kills} kills: {verdict}")
    return 1 if found.faults else 0


class Trial:
    """The folder, the same queue in peace and killed, and what was found wrong."""

    def __init__(self, place: Path, workers: int) -> None:
        self.faults: list[str] = []
        self.kills = 0
        self._place, self._log = place, place / "log.txt"
        self._made = made = mixed_folder.make(place / "in", videos=39, pictures=5, broken=12, growing=3, long=4)
        print(f"{made.total} files: {len(made.good)} good, {len(made.broken)} broken, {len(made.growing)} growing, "
              f"{len(made.foreign)} of another kind", flush=True)  # fmt: skip
        flags = ["--model", str(identity_model(place)), "--scale", "1", "--segment-frames", "16", "--quiet"]
        self._flags = [*flags, "--workers", str(workers)]
        self._peace, self._out = place / "peace", place / "out"
        self._seen: dict[str, tuple[int, int]] = {}

    def in_peace(self) -> None:
        """Run it once undisturbed."""
        self._run(self._peace, "done")

    def killed(self, kills: int, chance: random.Random) -> None:
        """Kill it again and again while three of its files grow, then let it end."""
        command = ["enhance", str(self._made.root), str(self._out), *self._flags]
        with Growth([self._made.root / name for name in self._made.growing]):
            for at in sorted(chance.sample(range(len(self._made.good) - 1), kills)):
                self.kills += kill_at(command, self._log, self._out, at, chance.uniform(0.0, 1.5))
                print(f"killed with {self._watch()} results there", flush=True)
            self._run(self._out, "growing")
            print(f"then run to its end: {count_states(self._out)}", flush=True)
        if self.kills != kills:
            self.faults.append(f"only {self.kills} kills")

    def grown_up(self) -> None:
        """Run it once more, now that the three files are complete."""
        self._run(self._out, "done")
        print(f"the growing ones complete, and run again: {count_states(self._out)}", flush=True)

    def compared(self) -> int:
        """Compare all results with those made in peace; how many there are."""
        wanted = {name: digest(path) for name, path in results(self._peace).items()}
        found = {name: digest(path) for name, path in results(self._out).items()}
        differing = [name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)]
        self.faults += [f"{name!r} differs" for name in differing]
        self.faults += [str(p) for p in self._out.rglob("*") if p.name.endswith((".part", ".vidsr-job"))]
        ends = _ends(self._place / "state")
        self.faults += [f"{source!r} was done {count} times" for source, count in ends.items() if count != 1]
        log = self._log.read_text(errors="replace")
        self.faults += [log] if "Traceback" in log else []
        return len(found)

    def _run(self, out: Path, growing: str) -> None:
        with start(["enhance", str(self._made.root), str(out), *self._flags], self._log) as work:
            code = work.wait()
        self.faults += [] if code == 1 else [f"exit code {code}"]  # the broken ones
        self.faults += check(self._made, report_of(out), growing)
        if out == self._out:
            self._watch()

    def _watch(self) -> int:
        """Note any result that was written a second time; how many there are."""
        now = {name: (p.stat().st_ino, p.stat().st_mtime_ns) for name, p in results(self._out).items()}
        self.faults += [f"{name!r} was written again" for name in self._seen if self._seen[name] != now.get(name)]
        self._seen |= now
        return len(now)


def _ends(state: Path) -> Counter[str]:
    """How often the work on each source of the killed queue ended in "done"."""
    found: Counter[str] = Counter()
    for ledger in (state / "queues").glob("*/results.jsonl"):
        entries = [json.loads(line) for line in ledger.read_text().splitlines()]
        done = [e for e in entries if e["entry"] == "ended" and e["state"] == "done"]
        if any("/out/" in e["result"] for e in done):
            found.update(e["source"] for e in done)
    return found


if __name__ == "__main__":
    sys.exit(main())

"""Every filter and step: the same frames and bytes however a job is cut, killed, shared out, or given its source.

    python -m benchmarks.robustness.filter_matrix
    python -m benchmarks.robustness.filter_matrix --rows dust weave --columns segments killed --kills 6

A row is a filter of ``--restore`` (all in the table of filters, with the clip of ``tests/support/filter_clips.py`` on
which it acts), a step after the network, a preset, or several filters drawn at random. Each row begins with a plain job
in one piece. The columns:

    acts      frames that differ from the job without the filter; "n→m" if their number does. 0 is an error.
    segments  frames and times of jobs in segments of at most 5, 8 and 13 frames, by ffmpeg's framemd5
    killed    SIGKILL at random moments until the job ends by itself; all bytes against the plain job in such segments
    workers   two worker processes; all bytes
    pictures  the source as numbered pictures, killed: the frames of the job on a video of these pictures
    options   --masks (not where frames change their number) and --keep-original-below, killed: all bytes; and the
              frames in other segments
    masters   --masters, likewise: both results
    part      --frames: a run of the frames of the whole
    ray       two actors of a Ray cluster; all bytes

"=": the same. "·": not promised, or not asked of such a row. Steps that carry state from frame to frame (a warm-up
hides their joints) are compared in equal segments only. Filters and their combinations run at scale 1 with a network
that gives back its input, so that a job without them gives back the source; steps and presets run with a tiny random
network.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg

from benchmarks.robustness.chaos import (
    Killed,
    count_frames,
    digest,
    discard,
    files,
    import_all,
    make_masks,
    make_model,
    run_to_end,
)
from tests.support import filter_clips
from tests.support.filter_clips import FilterClip

#: Frames of a segment in the comparisons of bytes, and the other lengths that are tried.
LENGTH, OTHERS = 8, (5, 13)
#: What each preset is tried on.
PRESETS = {
    "vhs": filter_clips.WORN,
    "dv": filter_clips.WORN,
    "dvd": filter_clips.TELECINED,
    "film-8mm": filter_clips.REPEATING,
    "film-bw": filter_clips.REPEATING,
    "broadcast": filter_clips.TELECINED,
    "animation": filter_clips.REPEATING,
    "phone": filter_clips.REPEATING,
}
#: In processes of their own, since this one must not compute before it forks.
IDENTITY = """
import pathlib, sys
from tests.support.networks import identity_model
identity_model(pathlib.Path(sys.argv[1]))
"""
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
for _ in range(2):
    cluster.add_node(num_cpus=1)
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@dataclass(frozen=True)
class Row:
    """What is tried: a clip with the options that make it act, and what is promised of it.

    Attributes:
        carries: it carries state from frame to frame, so that only equal segments give equal frames.
        retimes: the number or the times of frames change.
        pictures: the options with which numbered pictures are tried.
        plain: the network gives back its input, and no step follows it.
        columns: what is asked of it.
    """

    name: str
    clip: FilterClip
    options: tuple[str, ...]
    carries: bool = False
    retimes: bool = False
    pictures: tuple[str, ...] = ()
    plain: bool = True
    columns: tuple[str, ...] = ("segments", "killed", "workers", "pictures", "options", "masters", "part", "ray")


#: What is asked of presets and of several filters together.
TOGETHER = ("segments", "killed", "workers", "part")


@dataclass(frozen=True)
class Frames:
    """MD5 and pts of every frame, as ffmpeg decodes them."""

    md5: tuple[str, ...]
    pts: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, *as_given: str) -> Frames:
        """All frames of a video, or of numbered pictures."""
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0:v:0"]
        command += ["-fps_mode", "passthrough", *as_given, "-f", "framemd5", "-"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        rows = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
        return cls(tuple(row[-1].strip() for row in rows), tuple(int(row[2]) for row in rows))

    def unlike(self, other: Frames) -> str:
        """How two videos differ; "" if they do not."""
        if len(self.md5) != len(other.md5):
            return f"{len(self.md5)} frames, not {len(other.md5)}"
        wrong = [n for n, (a, b) in enumerate(zip(self.md5, other.md5, strict=True)) if a != b]
        if wrong:
            return f"frames {wrong[:4]}… of {len(self.md5)} differ ({len(wrong)})"
        return "" if self.pts == other.pts else "times differ"

    def holds(self, part: Frames, first: int) -> str:
        """Whether ``part`` is a run of these frames that begins close to number ``first``; "" if it is."""
        count = len(part.md5)
        starts = [k for k in range(len(self.md5) - count + 1) if self.md5[k : k + count] == part.md5]
        if not starts:
            strange = [n for n, md5 in enumerate(part.md5) if md5 not in self.md5]
            return f"frames {strange[:4]}… of the part are not in the whole ({len(strange)})"
        return "" if min(abs(k - first) for k in starts) <= 1 else f"begins with frame {starts}, not {first}"


@dataclass
class Trial:
    """One row at work in a folder of its own."""

    row: Row
    folder: Path
    models: tuple[Path, Path]
    kills: int
    chance: random.Random
    address: str = ""
    seconds: float = 0.0
    source: Path = Path()
    whole: Frames = field(default_factory=lambda: Frames((), ()))
    wanted: str = ""

    def prepare(self) -> str:
        """Make the clip, the whole result and that in segments; how many frames the filter changes."""
        self.source = self.row.clip.make(self.folder / "source")
        self.whole = Frames.of(self.job("whole.mkv", 1000))
        plain = self.source if self.row.plain else self.job("plain.mkv", 1000, options=("--multiframe", "off"))
        before = Frames.of(plain)
        self.wanted = digest(self.job("cut.mkv", LENGTH), False)
        if len(before.md5) != len(self.whole.md5):
            return f"{len(before.md5)}→{len(self.whole.md5)}"
        return str(sum(a != b for a, b in zip(before.md5, self.whole.md5, strict=True)))

    def command(
        self, output: Path, length: int, source: Path | None = None, options: tuple[str, ...] | None = None
    ) -> list[str]:
        """The arguments of a job."""
        given = self.row.options if options is None else options
        codec = () if "%" in output.name else ("--codec", "ffv1")
        names = ["enhance", str(source or self.source), "-o", str(output), "--segment-frames", str(length)]
        names += ["--quiet", "--overwrite", *codec, "--model", str(self.models[not self.row.plain])]
        names += ["--scale", "1", "--fidelity", "0", "--no-colour-lock"] if self.row.plain else ["--scale", "2"]
        return [*names, *given]

    def job(
        self, name: str, length: int, *more: str, source: Path | None = None, options: tuple[str, ...] | None = None
    ) -> Path:
        """Run a job in peace."""
        output = self.folder / name
        self.seconds = run_to_end([*self.command(output, length, source, options), *more], self.log)
        return output

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def segments(self) -> str:
        """See the module."""
        if self.row.carries:
            return "·"
        for length in (*OTHERS, LENGTH):
            unlike = Frames.of(self.job("other.mkv", length)).unlike(self.whole)
            if unlike:
                return f"{length}: {unlike}"
        return "="

    def killed(self) -> str:
        """See the module."""
        return self._killed(self.folder / "victim.mkv", self.wanted, second=False)

    def _killed(self, victim: Path, wanted: str, *more: str, second: bool, source: Path | None = None) -> str:
        command = [*self.command(victim, LENGTH, source, self.row.pictures if source else None), *more]
        done = Killed(victim, wanted, second).over_and_over(command, self.log, self.kills, self.seconds, self.chance)
        around = self.folder.rglob("*")
        left = [p.name for p in around if ".part" in p.name or p.name.endswith(".vidsr-job")]
        if done.identical != done.jobs or not done.jobs or left:
            return f"{done.identical} of {done.jobs} identical {left}"
        return f"= {done.kills}/{done.jobs}"

    def workers(self) -> str:
        """See the module."""
        return self._same(self.job("two.mkv", LENGTH, "--workers", "2"))

    def ray(self) -> str:
        """See the module."""
        if not self.address:
            return "·"
        sharing = ("--engine", "ray", "--address", self.address, "--workers", "2", "--threads", "1")
        return self._same(self.job("ray.mkv", LENGTH, *sharing))

    def _same(self, made: Path) -> str:
        return "=" if digest(made, False) == self.wanted else Frames.of(made).unlike(self.whole) or "bytes differ"

    def pictures(self) -> str:
        """See the module."""
        folder = self.folder / "frames"
        folder.mkdir()
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
        pattern = folder / "%06d.png"
        subprocess.run(
            [*ffmpeg, "-i", str(self.source), "-fps_mode", "passthrough", "-pix_fmt", "rgb24", str(pattern)], check=True
        )
        video = self.folder / "rgb.mkv"
        rate = ("-framerate", "25", "-i", str(pattern))
        subprocess.run([*ffmpeg, *rate, "-c:v", "ffv1", "-pix_fmt", "gbrp", "-y", str(video)], check=True)
        options, numbered = self.row.pictures, self.folder / "numbered" / "%06d.png"
        numbered.parent.mkdir()
        rgb = ("-pix_fmt", "rgb24")
        of_video = Frames.of(self.job("of_video.mkv", LENGTH, source=video, options=options), *rgb)
        made = self.job("numbered/%06d.png", LENGTH, "--fps", "25", source=pattern, options=options)
        if Frames.of(made, *rgb).md5 != of_video.md5:
            return "differ from the video of them"
        wanted = digest(made, False)
        discard(made, False)
        found = self._killed(made, wanted, "--fps", "25", second=False, source=pattern)
        return found + (" (no effect)" if self.row.plain and of_video.md5 == Frames.of(video, *rgb).md5 else "")

    def options(self) -> str:
        """See the module."""
        more = ["--keep-original-below", "0.5"]
        if not self.row.retimes:
            make_masks(self.folder / "masks", count_frames(self.source), *self.row.clip.size)
            more += ["--masks", str(self.folder / "masks")]
        return self._with(more)

    def masters(self) -> str:
        """See the module."""
        return self._with(["--masters"])

    def _with(self, more: list[str]) -> str:
        """Killed, and in other segments, with further options."""
        second = "--masters" in more
        reference = self.job("reference.mkv", LENGTH, *more)
        wanted = digest(reference, second)
        found = self._killed(self.folder / "victim2.mkv", wanted, *more, second=second)
        if not self.row.carries:
            other = self.job("apart.mkv", OTHERS[1], *more)
            for one, two in zip(files(reference, second), files(other, second), strict=True):
                unlike = Frames.of(two).unlike(Frames.of(one))
                if unlike:
                    return f"{two.name}: {unlike}"
        return found

    def part(self) -> str:
        """See the module."""
        if self.row.carries or "--rate" in self.row.options:
            return "·"
        count = count_frames(self.source)
        first, stop = count * 2 // 5, count * 3 // 5 + 1
        made = Frames.of(self.job("part.mkv", OTHERS[0], "--frames", f"{first}:{stop}"))
        times = Frames.of(self.source)
        clock = (times.pts[first] - times.pts[0]) / (times.pts[-1] - times.pts[0])
        span = self.whole.pts[-1] - self.whole.pts[0]
        slack = 0.1 * span / len(self.whole.pts)
        begin = next(n for n, pts in enumerate(self.whole.pts) if pts - self.whole.pts[0] >= clock * span - slack)
        return self.whole.holds(made, begin) or "="


COLUMNS: dict[str, Callable[[Trial], str]] = {
    "segments": Trial.segments,
    "killed": Trial.killed,
    "workers": Trial.workers,
    "pictures": Trial.pictures,
    "options": Trial.options,
    "masters": Trial.masters,
    "part": Trial.part,
    "ray": Trial.ray,
}


def rows(combinations: int, seed: int) -> dict[str, Row]:
    """All rows, by name."""
    found = [*_filters(), *_steps(), *_presets(), *_combinations(combinations, random.Random(seed))]
    return {row.name: row for row in found}


def _filters() -> Iterator[Row]:
    from vidsr.filters.before.descriptor import descriptor
    from vidsr.options.filter_choices import FILTERS

    for name in FILTERS:
        clip = filter_clips.clip_of(name)
        retimes = descriptor(name).retimes("same") is not None
        yield Row(name, clip, _restore(clip.restore), retimes=retimes, pictures=_restore(_for_pictures(clip.restore)))
        if descriptor(name).doubling is not None:
            double = ("--fields", "double")
            yield Row(
                f"{name}, double",
                clip,
                (*_restore(clip.restore), *double),
                retimes=True,
                pictures=(*_restore(_for_pictures(clip.restore)), *double),
            )


def _restore(filters: str) -> tuple[str, ...]:
    return ("--restore", filters, "--multiframe", "off")


def _for_pictures(filters: str) -> str:
    """With the order of fields, which no picture tells."""
    from vidsr.filters.before.descriptor import descriptor, parse_field_order

    return ",".join(
        f"{name}=tff" if "=" not in name and descriptor(name).parse is parse_field_order else name
        for name in filters.split(",")
    )


def _steps() -> Iterator[Row]:
    from vidsr.filters.after.post import STEPS

    carrying = {step.option for step in STEPS if step.needs_time}
    known = dict.fromkeys([*(step.option for step in STEPS), *filter_clips.STEPS])
    for name in known:
        clip = filter_clips.STEPS[name]
        retimes = name == "rate"
        options = clip.options if name == "multiframe" else (*clip.options, "--multiframe", "off")
        carries = name in carrying
        yield Row(f"step {name}", clip, options, carries=carries, retimes=retimes, pictures=options, plain=False)


def _presets() -> Iterator[Row]:
    from vidsr.options.restore_options import MATERIALS

    for name, values in MATERIALS.items():
        clip = PRESETS[name]
        options = ("--preset", name, "--multiframe", "off")
        retimes = clip is not filter_clips.WORN
        carries = "stabilize" in values
        yield Row(f"preset {name}", clip, options, carries=carries, retimes=retimes, plain=False, columns=TOGETHER)


def _combinations(count: int, chance: random.Random) -> Iterator[Row]:
    """Three to five filters each; every second time one of those that change which frames there are."""
    from vidsr.filters.before.descriptor import descriptor
    from vidsr.options.filter_choices import FILTERS

    timed = {"film": filter_clips.REPEATING, "ivtc": filter_clips.TELECINED, "dedupe": filter_clips.REPEATING}
    timed |= {"refill": filter_clips.REPEATING}
    plain = [n for n in FILTERS if descriptor(n).retiming is None and "deinterlace" not in n]
    for number in range(count):
        several = chance.sample(plain, chance.randint(2, 4))
        double: tuple[str, ...] = ()
        if number % 2:
            first = chance.choice([*timed, "double"])
            double = ("--fields", "double") if first == "double" else ()
            first = "deinterlace" if double else first
        else:
            first = chance.choice(["deinterlace", "deinterlace-quick", "dust"])
        clip = timed.get(first, filter_clips.WORN)
        chosen = ",".join(filter_clips.clip_of(name).restore for name in dict.fromkeys([first, *several]))
        name = f"{chosen}, double" if double else chosen
        retimes = bool(double) or first in timed
        yield Row(name, clip, (*_restore(chosen), *double), retimes=retimes, columns=TOGETHER)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes with a processor each."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield next(line.split()[1] for line in process.stdout if line.startswith("address"))
    finally:
        process.stdin.close()
        process.wait()


def main(argv: list[str] | None = None) -> int:
    """Run the rows and print one line for each; 0 if every filter acts and every cell is as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=2, help="at least so many for each cell with kills")
    parser.add_argument("--combinations", type=int, default=8, help="rows of several filters drawn at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", nargs="+", help="only these")
    parser.add_argument("--columns", nargs="+", choices=list(COLUMNS), default=list(COLUMNS))
    chosen = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import_all()
    known = rows(chosen.combinations, chosen.seed)
    names = chosen.rows or list(known)
    if unknown := sorted({*names} - {*known}):
        parser.error(f"--rows: {', '.join(unknown)}: give names of filters, or as these: {', '.join([*known][-20:])}")
    widths = {name: max(9, len(name)) for name in ("acts", *chosen.columns)}
    print(f"{'':24} " + " ".join(f"{name:{width}}" for name, width in widths.items()) + " CPU s", flush=True)
    wrong = cells = 0
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vidsr-matrix-")))
        os.environ["VIDSR_STATE"] = str(place / "state")
        address = stack.enter_context(cluster()) if "ray" in chosen.columns else ""
        models = place / "identity.safetensors", place / "tiny.safetensors"
        subprocess.run([sys.executable, "-c", IDENTITY, str(place)], check=True)
        make_model(models[1])
        for number, name in enumerate(names):
            folder = place / str(number)
            folder.mkdir()
            before = os.times()
            trial = Trial(known[name], folder, models, chosen.kills, random.Random(f"{chosen.seed} {name}"), address)
            asked = known[name].columns
            found = [trial.prepare(), *(COLUMNS[c](trial) if c in asked else "·" for c in chosen.columns)]
            after = os.times()
            spent = after.children_user + after.children_system - before.children_user - before.children_system
            faults = [cell for cell in found[1:] if not cell.startswith(("=", "·"))] + ["0"] * (found[0] == "0")
            cells, wrong = cells + len(found), wrong + len(faults)
            shown = (f"{cell:{width}}" for cell, width in zip(found, widths.values(), strict=True))
            print(f"{name:24} " + " ".join(shown) + f" {spent:5.0f}", flush=True)
    print(f"{len(names)} rows, {cells} cells, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

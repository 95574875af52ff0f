"""The confusion table of ``vidsr inspect``: generated clips of every kind, and what it says of them.

    python -m benchmarks.quality.detection [--failures] [scan] [mixed] [other] [looks]

Names pick parts of the set; without any it is all of it.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from vidsr.filters.detect.inspection import BLOCKY, FLICKERING, NOISY, Inspection
from vidsr.filters.detect.inspection_text import SOFT
from vidsr.jobs.inspect import inspect_file

SAMPLES = Path(__file__).parents[2] / "samples"
STILL = str(SAMPLES / "bigbuckbunny-320x180.png")
FILM = str(SAMPLES / "bigbuckbunny-160x90.mp4")
SIZE = "320x240"


def pan(rate: str, dx: float, dy: float, seconds: float = 2) -> list[str]:
    """A window that moves over an enlarged picture."""
    where = f"crop=320:240:x='mod(40+{dx}*n,900)':y='mod(20+{dy}*n,400)'"
    return ["-loop", "1", "-r", rate, "-t", str(seconds), "-i", STILL, "-vf", f"scale=1280:720:flags=lanczos,{where}"]


def lavfi(source: str, rate: str, seconds: float = 2) -> list[str]:
    """One of ffmpeg's own moving pictures."""
    return ["-f", "lavfi", "-t", str(seconds), "-i", f"{source}=s={SIZE}:r={rate}", "-vf", "format=yuv420p"]


def film(rate: str) -> list[str]:
    """Real footage, with its frames shown at another rate."""
    return ["-r", rate, "-i", FILM, "-vf", "scale=320:240:flags=lanczos"]


CONTENT = {
    "pan": lambda rate: pan(rate, 2.5, 0.6),
    "fast pan": lambda rate: pan(rate, 7, 1),
    "rise": lambda rate: pan(rate, 0, 1.5),
    "test card": lambda rate: lavfi("testsrc2", rate),
    "film": film,
}
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-pix_fmt", "yuv420p"]
MPEG2 = ["-c:v", "mpeg2video", "-q:v", "3", "-pix_fmt", "yuv420p"]
FIELDS = ["-flags", "+ildct+ilme"]


@dataclass(slots=True)
class Clip:
    """A recipe and the truth about it."""

    name: str
    arguments: list[str]
    filters: str = ""
    truth: dict[str, Any] = field(default_factory=dict)


def weave(order: str) -> str:
    """Fields of a doubled rate into frames."""
    return f"tinterlace=interleave_{'top' if order == 'tff' else 'bottom'}"


def scan_clips() -> list[Clip]:
    """Progressive, interlaced in both orders with right, wrong and no flags, telecined at each phase."""
    clips = []
    for name, content in CONTENT.items():
        still = {"scan": "progressive", "field_order": None, "grey": False}
        clips.append(Clip(f"{name}, progressive", [*content("25"), *X264], truth=still))
        clips.append(
            Clip(f"{name}, progressive, flagged tff", [*content("25"), *MPEG2, *FIELDS], "setfield=tff", still)
        )
        for order in ("tff", "bff"):
            truth = {"scan": "interlaced", "field_order": order, "duplicates": False}
            for says in (order, "bff" if order == "tff" else "tff", "prog"):
                flags = MPEG2 + FIELDS if says != "prog" else X264
                clips.append(
                    Clip(
                        f"{name}, {order} said {says}",
                        [*content("50"), *flags],
                        f"{weave(order)},setfield={says}",
                        truth,
                    )
                )
    for name in ("pan", "film"):
        for phase in range(5):
            truth = {"scan": "telecined", "field_order": "tff", "duplicates": False}
            cut = f"telecine=first_field=top,select='gte(n,{phase})',setpts=N/(30000/1001)/TB,setfield=tff"
            clips.append(
                Clip(f"{name}, telecined, phase {phase}", [*CONTENT[name]("24000/1001"), *MPEG2, *FIELDS], cut, truth)
            )
    clips.append(
        Clip(
            "pan, telecined bff",
            [*CONTENT["pan"]("24000/1001"), *MPEG2, *FIELDS],
            "telecine=first_field=bottom,setfield=bff",
            {"scan": "telecined", "field_order": "bff"},
        )
    )
    return clips


def mixed_clips() -> list[Clip]:
    """Sections of different kinds in one clip: fields and whole frames, film and true video, film and whole frames."""
    clips = []
    for name in ("pan", "fast pan", "film", "test card"):
        for order, first in (("tff", "top"), ("bff", "bottom")):
            kinds = {
                "fields": (CONTENT[name]("60000/1001"), weave(order)),
                "telecine": (CONTENT[name]("24000/1001"), f"telecine=first_field={first}"),
                "frames": (CONTENT[name]("30000/1001"), "null"),
            }
            for one, other in (("fields", "frames"), ("telecine", "fields"), ("telecine", "frames")):
                truth = {"scan": "mixed", "field_order": order, "grey": False}
                clips.append(
                    Clip(f"{name}, {one} then {other}, {order}", joined(kinds[one], kinds[other], order), "", truth)
                )
    return clips


def joined(first: tuple[list[str], str], second: tuple[list[str], str], order: str) -> list[str]:
    """Two sections, one after the other, as MPEG-2 that claims to be interlaced all through."""
    inputs, graph = [], []
    for number, (arguments, chain) in enumerate((first, second)):
        at = arguments.index("-vf")
        inputs += arguments[:at]
        whole = f"{arguments[at + 1]},{chain},setpts=N/(30000/1001)/TB,fps=30000/1001,setsar=1,setfield={order}"
        graph.append(f"[{number}:v]{whole},format=yuv420p[s{number}]")
    return [*inputs, "-filter_complex", ";".join([*graph, "[s0][s1]concat"]), *MPEG2, *FIELDS]


def other_clips() -> list[Clip]:
    """Repeated frames, bars, grey, noise."""
    clips = []
    for name in ("pan", "film", "test card"):
        base = CONTENT[name]
        for label, chain in (
            ("24 in 30", "fps=30"),
            ("on twos", "fps=50"),
        ):
            rate = "24" if label == "24 in 30" else "25"
            truth = {"scan": "progressive", "duplicates": True}
            clips.append(Clip(f"{name}, {label}", [*base(rate), *X264], chain, truth))
    bars = {
        "letterbox": ("pad=320:300:0:30", (0, 30, 320, 240)),
        "pillarbox": ("pad=400:240:40:0", (40, 0, 320, 240)),
        "window": ("pad=400:300:40:30", (40, 30, 320, 240)),
        "one side": ("pad=340:240:20:0", (20, 0, 320, 240)),
        "noisy letterbox": ("pad=320:300:0:30,noise=alls=4:allf=t", (0, 30, 320, 240)),
        "grey-black pillarbox": ("pad=400:240:40:0:color=0x080808", (40, 0, 320, 240)),
    }
    for label, (chain, crop) in bars.items():
        for name in ("pan", "film"):
            clips.append(
                Clip(f"{name}, {label}", [*CONTENT[name]("25"), *X264], chain, {"crop": crop, "scan": "progressive"})
            )
    for name in ("pan", "film", "test card"):
        clips.append(
            Clip(f"{name}, grey", [*CONTENT[name]("25"), *X264], "hue=s=0", {"grey": True, "scan": "progressive"})
        )
    for level in (0, 6, 14):
        chain = f"noise=alls={level * 3}:allf=t" if level else ""
        truth = {"noise": "low" if level == 0 else "high", "scan": "progressive", "grey": False}
        clips.append(
            Clip(
                f"pan, noise {level}",
                [*CONTENT["pan"]("25"), *X264[:4], "-crf", "10", "-pix_fmt", "yuv420p"],
                chain,
                truth,
            )
        )
    return clips


NATIVE = {
    "still": ["-loop", "1", "-r", "25", "-t", "2", "-i", STILL, "-vf", "crop=224:128:x='n':y='n/2'"],
    "film": ["-r", "25", "-i", FILM, "-vf", "null"],
}


def look_clips() -> list[Clip]:
    """Noise of several strengths, unsteady light, blocks, cuts, and pictures that were enlarged before."""
    clips = []
    fine = [*X264[:4], "-crf", "8", "-pix_fmt", "yuv420p"]
    for name in ("pan", "film", "rise"):
        base = CONTENT[name]("25")
        for sigma, level in ((0, "low"), (2, "low"), (7, "high"), (10, "high"), (14, "high")):
            # ffmpeg's strength is the square root of three times the standard deviation.
            grain = f"noise=c0s={round(3**0.5 * sigma)}:c0f=t" if sigma else "null"
            clips.append(Clip(f"{name}, luma noise {sigma}", [*base, *fine], grain, {"noise": level, "grey": False}))
        for much, light in ((0.0, "steady"), (0.03, "unsteady"), (0.06, "unsteady"), (0.1, "unsteady")):
            chain = f"eq=eval=frame:brightness='{much}*(2*random(1)-1)'"
            clips.append(Clip(f"{name}, light {much}", [*base, *X264], chain, {"light": light, "scan": "progressive"}))
        for codec in ("mpeg2video", "mpeg4"):
            for q, seen in ((2, False), (26, True), (31, True)):
                coded = ["-c:v", codec, "-q:v", str(q), "-pix_fmt", "yuv420p"]
                clips.append(Clip(f"{name}, {codec} q {q}", [*base, *coded], "null", {"blocks": seen}))
    for number, kinds in enumerate((("pan", "film"), ("film", "rise", "test card"), ("rise", "fast pan"), ("pan",))):
        cuts = str(tuple(25 * n for n in range(1, len(kinds))))
        clips.append(Clip(f"cuts {number}", in_a_row(kinds), "", {"cuts": cuts, "scan": "progressive"}))
    for name, arguments in NATIVE.items():
        clips.append(Clip(f"{name}, as it was", [*arguments, *fine], "null", {"enlarged": False}))
        for factor in (2, 3, 4):
            for how in ("bicubic", "lanczos", "bilinear"):
                chain = f"scale=iw*{factor}:ih*{factor}:flags={how}"
                clips.append(Clip(f"{name}, {how} x{factor}", [*arguments, *fine], chain, {"enlarged": True}))
    return clips


def in_a_row(kinds: tuple[str, ...]) -> list[str]:
    """A second of each kind, one after the other."""
    inputs, graph = [], []
    for number, name in enumerate(kinds):
        arguments = CONTENT[name]("25")
        at = arguments.index("-vf")
        inputs += arguments[:at]
        graph.append(f"[{number}:v]{arguments[at + 1]},trim=end_frame=25,setsar=1,format=yuv420p[s{number}]")
    row = "".join(f"[s{n}]" for n in range(len(kinds)))
    return [*inputs, "-filter_complex", ";".join([*graph, f"{row}concat=n={len(kinds)}"]), *X264]


def make(clip: Clip, folder: Path) -> Path:
    """Run ffmpeg for one clip."""
    arguments = list(clip.arguments)
    if clip.filters:
        at = arguments.index("-vf") + 1
        arguments[at] += "," + clip.filters
    path = folder / "clip.mkv"
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *arguments, str(path)], check=True)
    return path


def judge(clip: Clip, found: Inspection) -> dict[str, tuple[str, str]]:
    """property → (truth, answer)."""
    answers = {
        "scan": found.scan,
        "field_order": str(found.field_order),
        "grey": str(found.grey),
        "crop": str(found.crop),
        "duplicates": str(found.duplicate_ratio > 0.08),
        "noise": "high" if found.noise > NOISY else "low",
        "light": "unsteady" if found.flicker > FLICKERING else "steady",
        "blocks": str(found.blocking > BLOCKY),
        "cuts": str(found.cuts),
        "enlarged": str(min(found.true_width / found.width, found.true_height / found.height) < SOFT),
    }
    truth = {"crop": (0, 0, found.width, found.height), **clip.truth}
    return {name: (str(value), answers[name]) for name, value in truth.items()}


def main() -> None:
    """Make every clip, inspect it, count."""
    parts = {"scan": scan_clips, "mixed": mixed_clips, "other": other_clips, "looks": look_clips}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; default: all")
    parser.add_argument("--failures", action="store_true", help="print every wrong answer at the end")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(parts):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    table: dict[str, Counter[tuple[str, str]]] = {}
    failures = []
    clips = [clip for name in chosen.parts or parts for clip in parts[name]()]
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            found, _ = inspect_file(make(clip, Path(folder)))
            for name, pair in judge(clip, found).items():
                shown = pair
                if name == "crop":
                    shown = ("bars" if "crop" in clip.truth else "none", "right" if pair[0] == pair[1] else "wrong")
                table.setdefault(name, Counter())[shown] += 1
                if pair[0] != pair[1]:
                    failures.append(
                        f"{clip.name}: {name} is {pair[0]}, said {pair[1]} {found.crop if name == 'crop' else ''}"
                    )
    print(f"{len(clips)} clips")
    for name, counts in table.items():
        right = sum(n for (a, b), n in counts.items() if b in (a, "right"))
        total = sum(counts.values())
        print(f"{name}: {right} of {total} right ({right / total:.1%})")
        for (a, b), n in sorted(counts.items()):
            print(f"    {a} → {b}: {n}")
    if chosen.failures:
        print(*failures, sep="\n")


if __name__ == "__main__":
    main()

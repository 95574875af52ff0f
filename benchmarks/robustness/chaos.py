"""Kill `vidsr enhance` with SIGKILL at random moments, resume it each time, and compare with a run left in peace.

    python -m benchmarks.robustness.chaos --kills 120
    python -m benchmarks.robustness.chaos --kills 120 --restore

Every clip is first enhanced without interruption. Then the same job is run over and over in a process of its own
that is killed at a random moment of its life, until it ends by itself; its result must be the same file, byte for
byte, and have as many frames as ffprobe finds in the source; where a job has a second result, so must that. Of
numbered pictures every file and the list of times count. The processes are forked from this one, which has imported
everything and computed nothing, so that a kill costs no start-up time.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import pkgutil
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=2")
TONE = ("-f", "lavfi", "-i", "sine=d=2:r=48000", "-c:a", "aac")
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


@dataclass(frozen=True)
class Case:
    """A source, by file name and ffmpeg arguments, and what is to become of it.

    ``suffix`` with a slash in it names numbered pictures. With ``masks`` each frame gets one of its own.
    """

    file: str
    recipe: tuple[str, ...]
    codec: str
    suffix: str = ".mkv"
    options: tuple[str, ...] = ()
    workers: int = 1
    masks: bool = False
    size: tuple[int, int] = (64, 48)
    frames: Fraction = Fraction(1)  # of the result for one of the source


CASES = {
    "cfr": Case("cfr.mp4", (*PICTURE, *TONE, *X264), "h264", ".mp4"),
    "vfr": Case(
        "vfr.mp4",
        (
            *PICTURE,
            *("-vf", "select='not(eq(mod(n,5),2))',setpts='PTS+if(eq(mod(N,7),3),1700,0)+if(gt(N,20),90000,0)'"),
            *("-fps_mode", "passthrough", "-enc_time_base", "1/90000", "-video_track_timescale", "90000", *X264),
        ),
        "h264",
        ".mp4",
    ),
    "open-gop": Case(
        "open.mp4",
        (*PICTURE, "-c:v", "libx265", "-x265-params", "open-gop=1:keyint=12:min-keyint=12:bframes=4:log-level=none"),
        "hevc",
        ".mp4",
    ),
    "ts": Case("a.ts", (*PICTURE, *TONE, *X264, "-g", "12", "-bf", "3"), "h264"),
    "mpeg2-ts": Case("b.ts", (*PICTURE, "-c:v", "mpeg2video", "-g", "12", "-bf", "2"), "hevc"),
    "avi": Case("a.avi", (*PICTURE, "-c:v", "mpeg4", "-bf", "2", "-g", "12"), "h264"),
    "avi-h264": Case("b.avi", (*PICTURE, *X264, "-bf", "2", "-g", "12"), "ffv1"),
    "intra-refresh": Case("i.mkv", (*PICTURE, *X264, "-x264-params", "intra-refresh=1:keyint=24"), "av1"),
    "program-stream": Case("a.mpg", (*PICTURE, "-c:v", "mpeg2video", "-g", "12", "-bf", "2"), "h264"),
    "negative-pts": Case(
        "n.mkv", (*PICTURE, *X264, "-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"), "hevc"
    ),
    "ten-bit": Case("t.mkv", (*PICTURE, "-c:v", "ffv1", "-pix_fmt", "yuv420p10le"), "av1", ".mp4"),
    "vp9": Case("v.webm", (*PICTURE, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "12"), "prores", ".mov"),
    "workers": Case("w.mp4", (*PICTURE, *TONE, *X264), "h264", ".mkv", workers=2),
}

_STILL = Path(__file__).resolve().parents[2] / "samples" / "bigbuckbunny-320x180.png"


def moving(rate: str, frames: int, then: str, *encoder: str) -> tuple[str, ...]:
    """A detail of a still picture that moves by two pixels a frame, then filtered and encoded."""
    chain = f"scale=320:180,crop=64:48:x='20+2*n':y='30+n',{then}"
    command = ("-loop", "1", "-r", rate, "-i", str(_STILL), "-vf", chain, "-frames:v", str(frames))
    return (*command, *encoder, "-pix_fmt", "yuv420p")


FIELDS = ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme")
INTERLACED = moving("50", 32, "tinterlace=interleave_top,setfield=tff", *FIELDS)
TELECINED = moving("24000/1001", 40, "telecine=first_field=top,setfield=tff", *FIELDS)
FILM = moving(
    "18", 32, "noise=alls=14:allf=t,eq=brightness='0.05*sin(n*2)':eval=frame", "-c:v", "libx264", "-crf", "12"
)
PHONE = moving("30", 32, "noise=alls=6:allf=t", "-c:v", "libx264", "-crf", "32")
#: Standing still, with lines displaced one by one, otherwise in each frame.
_DISPLACED = "geq=lum='p(X+0.8*sin(7*N*N+0.45*Y),Y)':cb='cb(X,Y)':cr='cr(X,Y)',noise=alls=3:allf=t"
WOBBLING = (
    *("-loop", "1", "-r", "25", "-i", str(_STILL), "-vf", f"crop=192:64:60:60,format=yuv420p,{_DISPLACED}"),
    *("-frames:v", "30", "-c:v", "ffv1"),
)

#: The same for restoration: what looks at neighbours, carries state along, or changes frames and times.
RESTORED = {
    "deinterlace": Case("i.ts", INTERLACED, "h264", options=("--restore", "deinterlace=tff")),
    "each field": Case(
        "d.ts", INTERLACED, "h264", options=("--restore", "deinterlace", "--fields", "double"), frames=Fraction(2)
    ),
    "ivtc": Case("t.ts", TELECINED, "hevc", options=("--restore", "ivtc"), frames=Fraction(4, 5)),
    "dedupe": Case("r.mp4", moving("12", 32, "fps=24", *X264[:2]), "h264", options=("--restore", "dedupe")),
    "crop, deblock": Case("c.mp4", PHONE, "av1", options=("--restore", "crop=8:4:48:40,deblock")),
    "dust, denoise": Case("n.mp4", FILM, "h264", options=("--restore", "dust,denoise")),
    "deflicker": Case("f.mp4", FILM, "hevc", options=("--restore", "deflicker,grey")),
    "stabilize": Case("s.mp4", FILM, "ffv1", options=("--stabilize", "0.8")),
    "multiframe": Case(
        "m.mkv",
        moving("24", 36, "scale=32:24", "-c:v", "ffv1"),
        "h264",
        options=("--multiframe", "0.5", "--segment-frames", "12"),
    ),
    "breathing, scratch": Case("o.mp4", FILM, "h264", options=("--restore", "breathing,scratch")),
    "dehalo, dropout": Case("h.mp4", FILM, "h264", options=("--restore", "dehalo=1:6,dropout,chroma=2")),
    "dotcrawl": Case(
        "k.mkv",
        moving("30000/1001", 24, "scale=400:48,noise=alls=6:allf=t", "-c:v", "ffv1"),
        "h264",
        options=("--restore", "dotcrawl=ntsc,rainbow=ntsc"),
    ),
    "least confidence": Case("l.mp4", FILM, "h264", options=("--restore", "denoise", "--keep-original-below", "0.3")),
    "deband": Case("z.mp4", PHONE, "h264", options=("--restore", "deblock,deband=3")),
    "deband, masters": Case("1.mp4", PHONE, "h264", options=("--restore", "deband=3", "--masters")),
    "deband, rate": Case("2.mp4", PHONE, "h264", options=("--restore", "deband=3", "--rate", "2x"), frames=Fraction(2)),
    "deband, multiframe": Case("3.mp4", PHONE, "h264", options=("--restore", "deband=3", "--multiframe", "0.5")),
    "deband, all": Case(
        "4.mp4",
        PHONE,
        "h264",
        options=("--restore", "deband=3", "--masters", "--multiframe", "0.5"),
        workers=2,
        masks=True,
    ),
    "wobble": Case("5.mkv", WOBBLING, "h264", options=("--restore", "wobble")),
    "wobble, all": Case(
        "6.mkv",
        WOBBLING,
        "png",
        suffix="/%06d.png",
        options=("--restore", "wobble"),
        workers=2,
        masks=True,
        size=(192, 64),
    ),
    "masks": Case("m.mp4", FILM, "h264", options=("--restore", "dust,deband=3"), masks=True),
    "masks, numbered": Case(
        "j.mp4", FILM, "png", suffix="/%06d.png", options=("--restore", "deflicker,denoise"), masks=True
    ),
    "masks, workers": Case(
        "u.mp4", FILM, "h264", options=("--restore", "crop=4:2:56:44,dust,grey"), workers=2, masks=True
    ),
    "masks, both": Case(
        "y.mp4", FILM, "png", suffix="/%06d.png", options=("--restore", "dust,deband=3"), workers=2, masks=True
    ),
    "invent": Case("e.mp4", moving("24", 24, "null", *X264[:2]), "h264", options=("--invent", "0.5")),
    "masters": Case("q.mp4", moving("24", 24, "null", *X264[:2]), "h264", options=("--masters",)),
    "grain": Case("g.mp4", FILM, "h264", options=("--grain", "1", "--strength", "0.5", "--fidelity", "0.7")),
    "vhs": Case("v.ts", INTERLACED, "h264", options=("--preset", "vhs")),
    "dv": Case("w.ts", INTERLACED, "h264", options=("--preset", "dv")),
    "dvd": Case("x.ts", TELECINED, "h264", options=("--preset", "dvd"), frames=Fraction(4, 5)),
    "film-8mm": Case("8.mp4", FILM, "h264", options=("--preset", "film-8mm"), workers=2),
    "film-bw": Case("b.mp4", FILM, "h264", options=("--preset", "film-bw")),
    "broadcast": Case("y.ts", TELECINED, "h264", options=("--preset", "broadcast"), frames=Fraction(4, 5)),
    "animation": Case("a.mp4", moving("24", 32, "null", *X264[:2]), "h264", options=("--preset", "animation")),
    "phone": Case("p.mp4", PHONE, "h264", options=("--preset", "phone")),
}


def make_model(path: Path) -> None:
    """A real network, tiny and random; in a process of its own, since this one must not compute before it forks."""
    code = (
        "import sys, torch; from safetensors.torch import save_file; from vidsr.models.architectures.rrdbnet import *; "
        "torch.manual_seed(7); n = RRDBNet(RRDBNetConfig(num_feat=8, num_block=1, num_grow_ch=4)); "
        "save_file(n.state_dict(), sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def count_frames(path: Path) -> int:
    """Frames that ffprobe decodes from the first video stream."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_frames", "-print_format", "json"]
    answer = subprocess.run([*command, "-show_streams", str(path)], capture_output=True, check=True)
    return int(json.loads(answer.stdout)["streams"][0]["nb_read_frames"])


def import_all() -> None:
    """Import what a job may import, so that no forked process has to; nothing is computed."""
    import vidsr.cli.enhance
    import vidsr.filters
    import vidsr.inference
    import vidsr.jobs
    import vidsr.media
    import vidsr.models

    for package in (vidsr.filters, vidsr.inference, vidsr.jobs, vidsr.media, vidsr.models):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def start(arguments: list[str], log: Path) -> int:
    """Fork a process that runs the command line; its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        from vidsr.cli.main import run

        with log.open("ab") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        code = run(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run_to_end(arguments: list[str], log: Path) -> float:
    """Run the command in peace; seconds it took."""
    begin = time.perf_counter()
    _, status = os.waitpid(start(arguments, log), 0)
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)} failed: {log.read_text()}")
    return time.perf_counter() - begin


def run_until_killed(arguments: list[str], log: Path, seconds: float) -> bool:
    """Run the command and SIGKILL it after ``seconds``; False if it ended by itself before."""
    child = start(arguments, log)
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status != 0:
                raise SystemExit(f"{' '.join(arguments)} failed: {log.read_text()}")
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def make_masks(folder: Path, frames: int, width: int, height: int) -> None:
    """Grey pictures, one for each frame: a soft disc that moves."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    rows, columns = np.mgrid[:height, :width]
    for n in range(frames):
        away = np.hypot(rows - height / 2, columns - width * (n + 1) / (frames + 1))
        share = np.clip((height / 3 - away) / 8 + 0.5, 0, 1)
        Image.fromarray((255 * share).astype(np.uint8)).save(folder / f"{n}.png")


def is_numbered(result: Path) -> bool:
    """Whether a result is a folder of numbered pictures."""
    return "%" in result.name


def is_there(result: Path) -> bool:
    """Whether a result has its final name; numbered pictures, whether all have."""
    if is_numbered(result):
        return result.parent.exists() and not has_job(result) and any(result.parent.iterdir())
    return result.exists()


def has_job(result: Path) -> bool:
    """Whether the job's folder is there."""
    return any(result.parent.glob("*.vidsr-job" if is_numbered(result) else f"{result.name}.vidsr-job"))


def files(result: Path, second: bool) -> list[Path]:
    """A result, and its preservation master if it has one; or all files of numbered pictures."""
    if is_numbered(result):
        return sorted(result.parent.iterdir())
    return [result, result.with_name(f"{result.stem}.master.mkv")] if second else [result]


def digest(result: Path, second: bool) -> str:
    """SHA-256 of all files of a result."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files(result, second))).hexdigest()


def discard(result: Path, second: bool) -> None:
    """Remove all files of a result."""
    for path in files(result, second):
        path.unlink()
    if is_numbered(result):
        result.parent.rmdir()


@dataclass
class Killed:
    """A result whose job is killed, and what came of it: kills, finished jobs, and those whose files had the SHA-256
    ``wanted``."""

    victim: Path
    wanted: str
    second: bool = False
    kills: int = 0
    jobs: int = 0
    identical: int = 0

    def over_and_over(self, command: list[str], log: Path, kills: int, peace: float, chance: random.Random) -> Killed:
        """Kill the command at least ``kills`` times within ``peace`` seconds of its start, until it has ended."""
        while self.kills < kills:
            # Somewhere in the life of an uninterrupted job: start, segments, assembly, rename, tidying up.
            self.kills += run_until_killed(command, log, chance.uniform(0.02, peace))
            unfinished = not is_numbered(self.victim) and self.victim.exists() and has_job(self.victim)
            if self.kills >= kills or unfinished:
                run_to_end(command, log)
            if is_there(self.victim):
                self.jobs += 1
                self.identical += digest(self.victim, self.second) == self.wanted
                discard(self.victim, self.second)
        return self


def chaos(name: str, kills: int, folder: Path, model: Path, chance: random.Random) -> dict[str, object]:
    """One clip: at least ``kills`` kills, and as many finished jobs as that takes."""
    case = {**CASES, **RESTORED}[name]
    source, log = folder / case.file, folder / "log.txt"
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *case.recipe, "-y", str(source)], check=True)
    options = ["--model", str(model), "--scale", "2", "--segment-frames", "8", "--quiet", *case.options]
    frames = count_frames(source)
    if case.masks:
        make_masks(folder / "masks", frames, *case.size)
        options += ["--masks", str(folder / "masks")]
    second = "--masters" in case.options
    reference, victim = Path(f"{folder}/reference{case.suffix}"), Path(f"{folder}/victim{case.suffix}")
    if not is_numbered(victim):
        options += ["--codec", case.codec]
    peace = run_to_end(["enhance", str(source), "-o", str(reference), *options], log)
    wanted = digest(reference, second)
    found = len(list(reference.parent.glob("*.png"))) if is_numbered(reference) else count_frames(reference)
    if name != "dedupe" and found != frames * case.frames:
        raise SystemExit(f"{name}: the source has {frames} frames, the result {found}")
    command = ["enhance", str(source), "-o", str(victim), *options]
    if case.workers > 1:
        command += ["--workers", str(case.workers)]
        peace = run_to_end(command, log)
        discard(victim, second)
    done = Killed(victim, wanted, second).over_and_over(command, log, kills, peace, chance)
    left = sorted(p.name for p in folder.rglob("*") if ".part" in p.name or p.name.endswith(".vidsr-job"))
    return {
        "clip": name,
        "codec": case.codec,
        "frames": frames,
        "kills": done.kills,
        "jobs": done.jobs,
        "identical": done.identical,
        "left": left,
    }


def main(argv: list[str] | None = None) -> int:
    """Run the cases and print one line for each; 0 if every result was identical."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=120, help="at least so many, shared out evenly")
    parser.add_argument("--restore", action="store_true", help="the clips with filters, in place of those without")
    parser.add_argument("--clips", nargs="+", choices=[*CASES, *RESTORED])
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import_all()

    print(f"{'clip':18} {'codec':7} {'frames':>6} {'kills':>5} {'jobs':>4} {'identical':>9}  left behind", flush=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="vidsr-chaos-") as name:
        os.environ["VIDSR_STATE"] = str(Path(name) / "state")
        model = Path(name) / "tiny.safetensors"
        make_model(model)
        clips = chosen.clips or list(RESTORED if chosen.restore else CASES)
        for number, clip in enumerate(clips):
            folder = Path(name) / clip
            folder.mkdir()
            share = -(-chosen.kills // len(clips))
            row = chaos(clip, share, folder, model, random.Random(chosen.seed * 1000 + number))
            rows.append(row)
            left = ", ".join(row["left"]) or "nothing"  # type: ignore[arg-type]
            print(
                f"{row['clip']:18} {row['codec']:7} {row['frames']:6} {row['kills']:5} {row['jobs']:4} "
                f"{row['identical']:9}  {left}",
                flush=True,
            )
    kills, jobs, same = (sum(int(row[k]) for row in rows) for k in ("kills", "jobs", "identical"))  # type: ignore[call-overload]
    clean = not any(row["left"] for row in rows)
    print(f"{kills} kills over {len(rows)} clips: {same} of {jobs} results byte-identical")
    return 0 if same == jobs and jobs and clean else 1


if __name__ == "__main__":
    sys.exit(main())

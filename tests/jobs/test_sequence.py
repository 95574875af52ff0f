"""Numbered pictures as source and as result, through the real pipeline with a shipped network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.support import oracle, processes
from tests.support.places import child_environment
from tests.support.small_disk import small_file_system
from vidsr.cli.main import run
from vidsr.errors import DiskFullError, InputError, Interrupted, JobError, OptionsError, OutputError, VerifyError
from vidsr.jobs.enhance import enhance
from vidsr.jobs.preview.estimate import estimate
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.manifest import Manifest
from vidsr.jobs.state.overview import look_at
from vidsr.media import image_sequence
from vidsr.media.pictures.files import read_picture
from vidsr.media.pictures.frame_files import linear, unpack
from vidsr.options.enhance_options import EnhanceOptions

SMALL: dict[str, Any] = {"model": "realesr-animevideov3", "device": "cpu", "scale": 2}
RNG = np.random.default_rng(5)


def frames(folder: Path, count: int, first: int = 1, size: tuple[int, int] = (24, 16)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.full((size[1], size[0], 3), 40 + 10 * i, np.uint8)
        pixels[:, i % size[0] :, 0] = 200
        Image.fromarray(pixels).save(folder / f"{first + i:06}.png")
    return folder / "%06d.png"


def test_patterns_find_their_files(tmp_path: Path) -> None:
    pattern = frames(tmp_path, 5, first=998)
    assert image_sequence.is_pattern(pattern) and not image_sequence.is_pattern(tmp_path / "100%.png")
    (tmp_path / "50%d.mp4").write_bytes(b"a file that exists under this name is not a pattern")
    assert not image_sequence.is_pattern(tmp_path / "50%d.mp4")
    assert image_sequence.find(pattern) == image_sequence.NumberedFiles(998, 5)
    assert image_sequence.name_of(tmp_path / "a%04d b.tif", 7).name == "a0007 b.tif"
    (tmp_path / "000999.png").unlink()
    with pytest.raises(InputError, match=r"000999\.png is missing between 000998\.png and 001002\.png"):
        image_sequence.find(pattern)
    with pytest.raises(InputError, match="no file of this pattern"):
        image_sequence.find(tmp_path / "%d.jpg")


def test_pictures_become_a_video_of_the_rate_asked_for(tmp_path: Path, ffprobe: Callable[..., Any]) -> None:
    pattern = frames(tmp_path / "in", 6, first=3)
    with pytest.raises(OptionsError, match="--fps"):
        enhance(pattern, tmp_path / "out.mp4", **SMALL)
    enhance(pattern, tmp_path / "out.mp4", fps="24000/1001", **SMALL)
    told = ffprobe(tmp_path / "out.mp4", "-show_streams", "-show_frames")
    assert [s["codec_type"] for s in told["streams"]] == ["video"]
    assert (told["streams"][0]["width"], told["streams"][0]["height"]) == (48, 32)
    times = [float(f["pts_time"]) for f in told["frames"]]
    assert times == pytest.approx([i * 1001 / 24000 for i in range(6)], abs=1e-4)
    assert run(["verify", str(pattern), str(tmp_path / "out.mp4")]) == 0


@pytest.mark.long
def test_a_video_of_pictures_goes_on_after_sigkill(tmp_path: Path, tiny_model: Path) -> None:
    pattern = frames(tmp_path / "in", 20)
    flat: dict[str, Any] = {"model": str(tiny_model), "scale": 2, "segment_frames": 4}
    options = ["--model", str(tiny_model), "--scale", "2", "--segment-frames", "4", "--fps", "24", "--progress", "json"]
    command = [sys.executable, "-m", "vidsr", "enhance", str(pattern), "--output", str(tmp_path / "out.mkv"), *options]
    with processes.started(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"event": "segment"' in line:
                process.kill()
        process.wait(processes.LIMIT_SECONDS)
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "out.mkv").exists()
    kept = Manifest.load(job_folders.job_folder(tmp_path / "out.mkv")).finished
    assert kept
    with pytest.raises(JobError, match=r"--fps \(was 24, is 25\)"):
        enhance(pattern, tmp_path / "out.mkv", fps="25", **flat)
    events: list[Any] = []
    enhance(pattern, tmp_path / "out.mkv", fps="24", progress=events.append, **flat)
    made = {e.segment for e in events if e.kind == "segment"}
    assert made == set(range(5)) - set(kept)
    enhance(pattern, tmp_path / "whole.mkv", fps="24", workers=2, **flat)
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_a_picture_that_changed_is_noticed(tmp_path: Path, tiny_model: Path) -> None:
    pattern = frames(tmp_path / "in", 8)
    flat: dict[str, Any] = {"model": str(tiny_model), "scale": 2, "segment_frames": 4, "fps": "24"}
    stop = threading.Event()
    with pytest.raises(Interrupted):
        enhance(pattern, tmp_path / "out.mkv", progress=lambda e: stop.set(), stop=stop, **flat)
    Image.new("RGB", (24, 16)).save(tmp_path / "in" / "000003.png")
    with pytest.raises(JobError, match=r"the source %06d\.png"):
        enhance(pattern, tmp_path / "out.mkv", **flat)
    enhance(pattern, tmp_path / "out.mkv", restart=True, **flat)


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_pictures_with_exif_become_a_video(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    for number in range(3):
        Image.new("RGB", (24, 16), (40 * number, 90, 120)).save(tmp_path / f"{number:03}{suffix}", exif=exif)
    result = enhance(tmp_path / f"%03d{suffix}", tmp_path / "out.mkv", model=str(tiny_model), scale=2, fps="10")
    assert len(oracle.frame_pts(result.output)) == 3


def test_pictures_can_be_planned(tmp_path: Path) -> None:
    pattern = frames(tmp_path / "in", 6)
    flat = {**SMALL, "fps": "24", "picture_quality": 60}
    video = estimate(pattern, EnhanceOptions.from_flat(flat), output=tmp_path / "out.mkv")
    assert (video.frames, video.size, video.codec) == (6, (48, 32), "h264")
    # What is planned is what `vidsr enhance` would make: of pictures, by default, pictures.
    for output, suffix in ((None, "png"), (tmp_path / "jpeg" / "%03d.jpg", "jpg")):
        found = estimate(pattern, EnhanceOptions.from_flat(flat), output=output)
        made = enhance(pattern, output, **flat)
        sizes = [path.stat().st_size for path in made.output.parent.glob(f"*.{suffix}")]
        assert (found.frames, found.size, found.codec) == (len(sizes), made.size, suffix) == (6, (48, 32), suffix)
        assert found.result_bytes == pytest.approx(sum(sizes), rel=0.01)
        assert found.disk_bytes == 2 * found.result_bytes


@pytest.mark.parametrize(("suffix", "depth"), [(".png", 8), (".png", 16), (".tif", 16), (".jpg", 8)])
def test_a_video_becomes_pictures(tmp_path: Path, clips: Any, suffix: str, depth: int) -> None:
    source = clips("basic")
    result = enhance(source, tmp_path / "out" / f"f%04d{suffix}", bit_depth=depth, **SMALL)
    made = sorted((tmp_path / "out").glob(f"f*{suffix}"))
    assert len(made) == result.frames > 1
    assert made[0].name == f"f0001{suffix}"
    first = read_picture(made[0])
    pixels = first.pixels[0 : first.size[1], 0 : first.size[0]]
    assert pixels.dtype.itemsize * 8 == depth
    if depth == 16:
        assert len(np.unique(pixels)) > 256
    with av.open(str(source)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    shrunk = np.asarray(Image.fromarray((pixels >> (depth - 8)).astype(np.uint8)).resize(frame.shape[1::-1]))
    assert np.abs(shrunk.astype(float) - frame).mean() < 12
    lines = (tmp_path / "out" / "timestamps.txt").read_text().splitlines()
    assert lines[0] == "# timestamp format v2" and len(lines) == result.frames + 1
    first.close()


def test_exr_is_linear_light(tmp_path: Path) -> None:
    pattern = frames(tmp_path / "in", 2)
    enhance(pattern, tmp_path / "out" / "%04d.exr", fps="24", **SMALL)
    enhance(pattern, tmp_path / "png" / "%04d.png", fps="24", bit_depth=16, **SMALL)
    raw = processes.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "out" / "0001.exr", "-f", "rawvideo", "-pix_fmt", "gbrpf32le", "-"],
        capture_output=True,
        check=True,
    ).stdout
    green, blue, red = np.frombuffer(raw, "<f4").reshape(3, 32, 48)
    png = read_picture(tmp_path / "png" / "0001.png").pixels[0:32, 0:48]
    assert np.abs(np.dstack([red, green, blue]) - linear(png, 65535)).max() < 2e-3


def test_exr_is_read_as_linear_light(tmp_path: Path) -> None:
    pattern = frames(tmp_path / "in", 2)
    results = []
    for kind in ("exr", "png"):
        first, second = tmp_path / kind / f"%04d.{kind}", tmp_path / f"from {kind}" / "%04d.png"
        enhance(pattern, first, fps="24", bit_depth=16, **SMALL)
        enhance(first, second, fps="24", bit_depth=16, **SMALL)
        results.append(read_picture(image_sequence.name_of(second, 2)).pixels[0:64, 0:96].astype(float) / 65535)
    assert np.abs(results[0] - results[1]).max() < 4e-3, "the network sees the codes it was trained on"


@pytest.mark.usefixtures("one_segment_at_a_time")
def test_pictures_to_pictures_go_on_after_a_stop(tmp_path: Path) -> None:
    pattern = frames(tmp_path / "in", 8)
    out = tmp_path / "out" / "%06d.png"
    options: dict[str, Any] = {**SMALL, "fps": "24", "segment_frames": 3}
    stop = Stop()
    events: list[Event] = []

    def after_one(event: Event) -> None:
        if event.kind == "segment":
            stop.soft.set()

    with pytest.raises(Interrupted, match="1 of 3 segments are done; to resume: vidsr jobs resume"):
        enhance(pattern, out, progress=after_one, stop=stop, **options)
    assert not list(out.parent.glob("0*")), "nothing has its final name before all is verified"
    assert len(Manifest.load(job_folders.job_folder(out)).finished) == 1
    assert look_at(job_folders.job_folder(out)).state == "stopped"
    result = enhance(pattern, out, progress=events.append, **options)
    assert result.kind == "sequence" and result.frames == 8
    assert sum(e.kind == "segment" for e in events) == 2
    assert sorted(p.name for p in out.parent.iterdir()) == [*(f"{n:06}.png" for n in range(1, 9)), "timestamps.txt"]
    whole = tmp_path / "whole" / "%06d.png"
    enhance(pattern, whole, **{**options, "segment_frames": 256}, workers=2)
    for name in (f"{i:06}.png" for i in range(1, 9)):
        assert (whole.parent / name).read_bytes() == (out.parent / name).read_bytes()
    with pytest.raises(OutputError, match=r"000001\.png already exists; use --overwrite"):
        enhance(pattern, out, **{**options, "scale": 3})
    enhance(pattern, out, overwrite=True, **{**options, "scale": 3})
    with Image.open(out.parent / "000008.png") as image:
        assert image.size == (72, 48)
    with pytest.raises(OutputError, match="is the source itself"):
        enhance(pattern, pattern, overwrite=True, **options)


@pytest.mark.parametrize(
    ("options", "filters"),
    [
        ({"restore": "ivtc=tff"}, "fieldmatch=order=tff:combmatch=full,decimate"),
        ({"restore": "deinterlace=tff", "fields": "double"}, "bwdif=mode=send_field:parity=tff"),
        ({"restore": "dedupe"}, ""),
    ],
    ids=["ivtc", "double", "dedupe"],
)
def test_restoration_that_changes_times_works_for_pictures(
    tmp_path: Path, tiny_model: Path, options: dict[str, Any], filters: str
) -> None:
    """The pictures are the frames of the video that the same options give, at its times."""
    source = tmp_path / "film.mkv"
    if filters.startswith("fieldmatch"):
        shape = ["testsrc2=size=96x64:rate=24000/1001:duration=1.5", "telecine=pattern=23"]
    elif filters:
        shape = ["testsrc2=size=96x64:rate=50:duration=0.6", "tinterlace=mode=interleave_top,setfield=tff"]
    else:
        shape = ["testsrc2=size=96x64:rate=12:duration=1", "fps=24"]
    processes.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", shape[0], "-vf", shape[1], "-c:v", "ffv1", str(source)],
        check=True,
    )
    flat: dict[str, Any] = {"model": str(tiny_model), "scale": 2, "segment_frames": 7, **options}
    video = enhance(source, tmp_path / "film.x2.mkv", codec="ffv1", **flat)
    pictures = enhance(source, tmp_path / "out" / "%04d.png", **flat)
    stored = len(oracle.frame_pts(source))
    made = sorted((tmp_path / "out").glob("*.png"))
    assert len(made) == pictures.frames == video.frames != stored
    times = [float(line) for line in (tmp_path / "out" / "timestamps.txt").read_text().splitlines()[1:]]
    probed = json.loads(
        processes.run(
            ["ffprobe", "-v", "error", "-show_entries", "frame=pts_time", "-of", "json", video.output],
            capture_output=True, check=True,
        ).stdout
    )  # fmt: skip
    shown = [float(f["pts_time"]) * 1000 for f in probed["frames"]]
    assert times == pytest.approx([t - shown[0] for t in shown], abs=1.01), "Matroska rounds to milliseconds"
    for number in (1, len(made) // 2, len(made)):
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-i",
            str(video.output),
            "-vf",
            rf"select=eq(n\,{number - 1})",
            "-frames:v",
            "1",
        ]
        raw = [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        want = np.frombuffer(processes.run(raw, capture_output=True, check=True).stdout, np.uint8)
        with Image.open(tmp_path / "out" / f"{number:04}.png") as image:
            have = np.asarray(image.convert("RGB")).reshape(-1)
        assert np.abs(have.astype(int) - want).mean() < 6, f"picture {number} is another frame"
    assert run(["verify", str(source), str(tmp_path / "out" / "%04d.png"), *as_flags(options)]) == 0
    made[2].write_bytes(made[2].read_bytes()[:-200])
    assert run(["verify", str(source), str(tmp_path / "out" / "%04d.png"), *as_flags(options)]) == 1


def as_flags(options: dict[str, Any]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


@pytest.mark.parametrize("keep", [False, True], ids=["tidied", "segments kept"])
def test_pictures_are_made_again_as_a_video_is(tmp_path: Path, tiny_model: Path, keep: bool) -> None:
    """A second run over a finished result is refused with the same message, and replaces it with ``--overwrite``."""
    pattern = frames(tmp_path / "in", 3)
    flat: dict[str, Any] = {"fps": "24", "model": str(tiny_model), "scale": 2, "keep_segments": keep}
    messages = []
    for result, there in [("out.mkv", "out.mkv"), ("out/%06d.png", "out/000001.png")]:
        enhance(pattern, tmp_path / result, **flat)
        before = (tmp_path / there).read_bytes()
        with pytest.raises(OutputError) as caught:
            enhance(pattern, tmp_path / result, **flat)
        messages.append(str(caught.value).replace(str(tmp_path / there), "RESULT"))
        assert (tmp_path / there).read_bytes() == before
        events: list[Event] = []
        enhance(pattern, tmp_path / result, overwrite=True, progress=events.append, **flat)
        messages.append(str(sum(e.kind == "segment" for e in events)))
        assert (tmp_path / there).read_bytes() == before
    assert messages[:2] == messages[2:]
    assert messages[0].startswith("RESULT already exists")


def test_notes_on_a_codec_do_not_reach_pictures(tmp_path: Path, tiny_model: Path) -> None:
    """FFV1 stands in for the pictures' format, and what it cannot keep is not their concern; what is guessed is."""
    source = tmp_path / "hdr.mkv"
    light = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=0.2"]
    tags = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
    more = ["-c:v", "libx265", "-pix_fmt", "yuv420p10le", *tags, "-x265-params", f"log-level=error:{light}"]
    processes.run([*command, *more, str(source)], check=True)
    options = EnhanceOptions.from_flat({"model": str(tiny_model), "scale": 2})
    pictures = Recipe.of(source, options, pictures=".png")
    video = Recipe.of(source, EnhanceOptions.from_flat({"model": str(tiny_model), "scale": 2, "codec": "ffv1"}))
    assert any(note.startswith("ffv1 does not store mastering display") for note in video.notes)
    assert [note for note in pictures.notes if "mastering" in note] == [
        "numbered pictures do not store mastering display and light level data: they are left out"
    ]


def test_a_damaged_picture_never_gets_its_name(tmp_path: Path, tiny_model: Path) -> None:
    """A segment whose archive holds a broken picture fails the verification before anything is renamed."""
    pattern = frames(tmp_path / "in", 4)
    out = tmp_path / "out" / "%06d.png"
    folder = job_folders.job_folder(out)

    def damage(event: Event) -> None:
        if event.kind == "stage" and event.text == "verify":
            path = folder / "result.pictures" / "000003.png"
            path.write_bytes(path.read_bytes()[:60])

    with pytest.raises(VerifyError, match=r"decodes whole.*1 damaged files"):
        enhance(pattern, out, fps="24", model=str(tiny_model), scale=2, progress=damage)
    assert not list(out.parent.glob("0*.png")) and folder.is_dir()
    enhance(pattern, out, fps="24", model=str(tiny_model), scale=2)
    assert len(list(out.parent.glob("0*.png"))) == 4 and not folder.exists()


def test_naming_that_was_interrupted_is_finished(tmp_path: Path, tiny_model: Path, monkeypatch: Any) -> None:
    pattern = frames(tmp_path / "in", 4)
    out = tmp_path / "out" / "%06d.png"
    flat: dict[str, Any] = {"fps": "24", "model": str(tiny_model), "scale": 2}
    rename = os.replace

    def killed(source: Any, target: Any) -> None:
        if str(target) == str(out.with_name("000003.png")):
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            enhance(pattern, out, **flat)
    assert sorted(p.name for p in out.parent.glob("0*.png")) == ["000001.png", "000002.png"]
    events: list[Event] = []
    enhance(pattern, out, progress=events.append, **flat)
    assert not [e for e in events if e.kind in ("segment", "frame")], "no frame is made again"
    assert len(list(out.parent.glob("0*.png"))) == 4 and (out.parent / "timestamps.txt").exists()


def contents(folder: Path) -> dict[str, str]:
    """The digests of all files in a folder, by name."""
    return {path.name: oracle.digest(path) for path in sorted(folder.iterdir())}


@pytest.fixture
def undisturbed(tmp_path: Path, tiny_model: Path) -> tuple[Path, dict[str, Any], dict[str, str]]:
    """Twelve pictures, the options of a job on them in four segments, and what it makes in this process."""
    pattern = frames(tmp_path / "in", 12, size=(48, 32))
    flat: dict[str, Any] = {"fps": "24", "model": str(tiny_model), "scale": 2, "segment_frames": 3}
    enhance(pattern, tmp_path / "wanted" / "%06d.png", **flat)
    return pattern, flat, contents(tmp_path / "wanted")


@pytest.mark.parametrize(
    ("sharing", "workers"),
    [
        ({"workers": 2, "device": "cpu"}, "vidsr.jobs.engines.process_main"),
        pytest.param({"devices": "cpu,cpu"}, "vidsr.jobs.engines.process_main", marks=pytest.mark.long),
        pytest.param({"engine": "ray", "workers": 2}, "ray::SegmentActor", marks=pytest.mark.slow),
    ],
    ids=["workers", "devices", "ray"],
)
def test_pictures_are_the_same_whoever_makes_them(
    sharing: dict[str, Any],
    workers: str,
    undisturbed: tuple[Path, dict[str, Any], dict[str, str]],
    tmp_path: Path,
) -> None:
    """Two worker processes, or two actors of a real Ray, make what this process makes; one of them is killed."""
    pattern, flat, wanted = undisturbed
    if "engine" in sharing:
        pytest.importorskip("ray")
    out = tmp_path / "out" / "%06d.png"
    seen: set[int] = set()
    killed: list[int] = []

    def kill_one(event: Event) -> None:
        if event.kind == "segment":
            at_work = {pid for pid, command in processes.below(os.getpid()) if workers in command}
            seen.update(at_work)
            if not killed:
                killed.append(min(at_work))
                os.kill(killed[0], signal.SIGKILL)

    enhance(pattern, out, progress=kill_one, **flat, **sharing)
    assert killed and len(seen) >= 2, "the work was not shared"
    assert contents(out.parent) == wanted
    assert not job_folders.job_folder(out).exists()


@pytest.mark.parametrize(
    ("stage", "pages", "file"), [("assemble", 4, r"result\.pictures/00\d+\.png"), ("verify", 0, r"manifest\.json")]
)
def test_a_disk_that_is_full_at_the_end_costs_no_frame(
    stage: str, pages: int, file: str, undisturbed: tuple[Path, dict[str, Any], dict[str, str]], tmp_path: Path
) -> None:
    """While pictures are unpacked, and while the job notes that they are about to be named."""
    pattern, flat, wanted = undisturbed
    small = tmp_path / "small"
    small.mkdir()
    out, ballast = small / "out" / "%06d.png", small / "ballast"

    def fill(event: Event) -> None:
        if event.kind == "stage" and event.text == stage:
            ballast.write_bytes(bytes(shutil.disk_usage(small).free - 4096 * pages))

    with small_file_system(small, "4m"):
        with pytest.raises(DiskFullError, match=f"no space left while writing .*{file}; free some space"):
            enhance(pattern, out, progress=fill, **flat)
        assert not list(out.parent.glob("0*")), "nothing has its name before all is safe"
        kept = Manifest.load(job_folders.job_folder(out))
        assert (kept.state, len(kept.finished)) == ("assembly", 4)
        ballast.unlink()
        events: list[Event] = []
        enhance(pattern, out, progress=events.append, **flat)
        assert not [e for e in events if e.kind in ("segment", "frame")], "no frame is made again"
        assert contents(out.parent) == wanted
        assert [p.name for p in small.iterdir()] == ["out"]


def test_an_archive_that_is_damaged_is_named(tmp_path: Path) -> None:
    segment = tmp_path / "000000.zip"
    with zipfile.ZipFile(segment, "w") as archive:
        archive.writestr("000000.png", bytes(range(256)) * 8)
    whole = segment.read_bytes()
    for damaged in (whole[:-40], whole.replace(bytes(range(64)), bytes(64), 1)):
        segment.write_bytes(damaged)
        with pytest.raises(OutputError, match=r"000000\.zip: it is damaged"):
            unpack(segment, [tmp_path / "a.png"])


KILLED_WHILE_UNPACKING = """
import os, signal, sys
from vidsr import enhance

sync = os.fsync

def fsync(file):
    sync(file)
    if os.readlink(f"/proc/self/fd/{file}").endswith("result.pictures/000005.png"):
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = fsync
enhance(sys.argv[1], sys.argv[2], fps="24", model=sys.argv[3], scale=2, segment_frames=3)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it is killed at a file that /proc names")
def test_unpacking_that_was_killed_is_done_again(
    undisturbed: tuple[Path, dict[str, Any], dict[str, str]], tmp_path: Path
) -> None:
    pattern, flat, wanted = undisturbed
    out = tmp_path / "out" / "%06d.png"
    script = [sys.executable, "-c", KILLED_WHILE_UNPACKING, str(pattern), str(out), flat["model"]]
    assert processes.run(script, env=child_environment(), check=False).returncode == -signal.SIGKILL
    folder = job_folders.job_folder(out)
    assert not list(out.parent.glob("0*"))
    assert sorted(p.name for p in (folder / "result.pictures").iterdir())[-1] == "000005.png"
    (folder / "result.pictures" / "000005.png").write_bytes(b"half of a pict")
    events: list[Event] = []
    enhance(pattern, out, progress=events.append, **flat)
    assert not [e for e in events if e.kind in ("segment", "frame")], "no frame is made again"
    assert contents(out.parent) == wanted
    assert not folder.exists()

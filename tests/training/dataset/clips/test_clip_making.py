"""Datasets of clips: cut where nothing breaks, of known motion, and the same after any stop."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support import processes
from tests.support.clips import run_ffmpeg
from tests.support.places import child_environment
from tests.support.training import moving, textured
from vidsr.cli.main import run
from vidsr.errors import InputError, TrainingError
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.inference.colour import rgb8_of
from vidsr.training.dataset.clips.clip_making import cut_out, make_clips
from vidsr.training.dataset.clips.clip_store import ClipStore, ClipWriter
from vidsr.training.options import MakeOptions

SIDE = 128
#: Frames of each scene, and px that its content moves in a frame, down and across.
SCENES = ((20, (1, 2)), (16, (0, 0)), (19, (0, 6)))
OPTIONS = MakeOptions(clips=7, length=8, patch=64)


def _write(path: Path, frames: np.ndarray) -> Path:
    """A lossless RGB video of ``[T, H, W, 3]``."""
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "25", "-i", "-")
    run_ffmpeg(*raw, "-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", str(path), stdin=frames.tobytes())
    return path


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Three scenes with two cuts: slow, still, fast."""
    scenes = [moving(10 + n, count, SIDE, step) for n, (count, step) in enumerate(SCENES)]
    scenes[1] = (scenes[1] * 0.6).astype(np.uint8)
    return np.concatenate(scenes)


@pytest.fixture(scope="module")
def video(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("video") / "three.mkv", frames)


@pytest.fixture(scope="module")
def made(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "clips"
    make_clips([video], folder, OPTIONS)
    return folder


def _everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_clips_are_parts_of_the_video_and_cross_no_cut(frames: np.ndarray, made: Path) -> None:
    store = ClipStore(made)
    starts = np.cumsum([0, *(count for count, _ in SCENES)])
    scenes = set()
    assert 5 <= len(store) <= 7
    for number, clip in enumerate(store.index.clips):
        first, left, top = (clip[name] for name in ("first", "left", "top"))
        scene = int(np.searchsorted(starts, first, side="right")) - 1
        scenes.add(scene)
        assert starts[scene] <= first and first + 8 <= starts[scene + 1], "no cut inside"
        expected = frames[first : first + 8, top : top + 64, left : left + 64]
        assert np.abs(store[number].astype(int) - expected).max() <= 1
        speed = np.hypot(*SCENES[scene][1])
        assert clip["motion"]["mean"] == pytest.approx(speed, abs=0.15 + 0.1 * speed)
        assert clip["motion"]["camera"] == pytest.approx(speed, abs=0.15 + 0.1 * speed)
        assert clip["motion"]["own"] < 0.1 + 0.1 * speed
    assert scenes == {0, 1, 2}


def test_speeds_take_turns_and_nothing_is_there_twice(made: Path) -> None:
    """The still scene looks the same all the time: each of its places is taken once."""
    clips = ClipStore(made).index.clips
    still = [(clip["left"], clip["top"]) for clip in clips if clip["scene"] == 1]
    assert len(still) == len(set(still))
    counts = [sum(clip["scene"] == scene for clip in clips) for scene in range(3)]
    assert max(counts[0], counts[2]) - min(counts) <= 2


def test_the_report_shows_motion_and_what_was_left_out(made: Path) -> None:
    page = (made / "report.html").read_text()
    count = len(ClipStore(made))
    assert f"{count} clips of 8 frames, 64×64 px" in page and page.count("data:image/jpeg") == count
    assert "too short between cuts" in page and "4 to 8" in page and "mean length of the motion" in page
    assert sorted(p.suffix for p in made.iterdir() if p.suffix != ".npy") == [".html", ".json"]


def test_a_stopped_run_goes_on_and_ends_the_same(video: Path, made: Path, frames: np.ndarray, tmp_path: Path) -> None:
    """Stopped between two sources, and in the middle of one: what is there is kept, and the result is the same."""
    other = _write(tmp_path / "other.mkv", frames[20:])

    def stop(path: Path) -> None:
        if path == other:
            raise KeyboardInterrupt

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make_clips([video, other], whole, OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        make_clips([video, other], parts, OPTIONS, on_source=stop)
    assert not (parts / "dataset.json").exists()
    with pytest.raises(InputError, match="run the same command again"):
        ClipStore(parts)
    clips = sorted(parts.glob("clip-*.npy"))
    assert [c.name for c in clips] == sorted(c.name for c in made.glob("clip-*.npy"))
    (parts / clips[-1].name).unlink()
    (parts / "clip-00000-0000000-0000-0000.npy.part").write_bytes(b"torn")
    kept = {c: c.stat().st_ino for c in clips[:-1]}
    with pytest.raises(TrainingError, match="unfinished dataset with other settings"):
        make_clips([video, other], parts, MakeOptions(clips=7, length=9, patch=64))
    make_clips([video, other], parts, OPTIONS)
    assert {c: c.stat().st_ino for c in kept} == kept, "they were not written again"
    (parts / "clip-00000-0000000-0000-0000.npy.part").unlink(missing_ok=True)
    assert _everything(parts) == _everything(whole)


_MAKE = """
import sys
from pathlib import Path
from vidsr.training.dataset.clips.clip_making import make_clips
from vidsr.training.options import MakeOptions
make_clips([Path(sys.argv[1])], Path(sys.argv[2]), MakeOptions(clips=7, length=8, patch=64))
"""
_KILLED = """
import os, signal, sys, time
from pathlib import Path
import vidsr.training.dataset.clips.clip_making
code, video, folder, wanted = sys.argv[1], *sys.argv[2:]
sys.argv = ["-", video, folder]
child = os.fork()
if not child:
    exec(code)
    os._exit(0)
while not list(Path(folder).glob(wanted)):
    if os.waitpid(child, os.WNOHANG)[0]:
        sys.exit(f"it ended before {wanted} was there")
    time.sleep(0.001)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""


@pytest.mark.long
@pytest.mark.parametrize("wanted", ["plan-00000.json", "clip-*.npy", "clip-*.part"])
def test_kill_leaves_nothing_half_written(video: Path, made: Path, tmp_path: Path, wanted: str) -> None:
    folder = tmp_path / "clips"
    command = [sys.executable, "-c", _KILLED, _MAKE, str(video), str(folder), wanted]
    processes.run(command, env=child_environment(), check=True, capture_output=True)
    assert not (folder / "dataset.json").exists()
    for path in folder.glob("*.npy"):
        assert np.load(path).shape == (8, 64, 64, 3)
    make_clips([video], folder, OPTIONS)
    assert _everything(folder) == _everything(made)


def test_what_cannot_be_used_is_named(video: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"no picture")
    (tmp_path / "broken.mkv").write_bytes(b"no video")
    short = _write(tmp_path / "short.mkv", moving(1, 7, 96))
    tally = make_clips([video, picture, tmp_path / "broken.mkv", short], tmp_path / "out", OPTIONS)
    reasons = {Path(name).name: reason for name, reason in tally.refused}
    assert reasons.keys() == {"a.png", "broken.mkv"} and "not a picture" in reasons["a.png"]
    assert {Path(video["path"]).name: tally.taken[video["path"]] > 0 for video in tally.videos} == {
        "three.mkv": True,
        "short.mkv": False,
    }
    with pytest.raises(InputError, match="not a picture"):
        make_clips([picture], tmp_path / "strict", MakeOptions(clips=1, strict=True))
    with pytest.raises(TrainingError, match="not one clip of 8 frames and 64 px"):
        make_clips([short], tmp_path / "none", OPTIONS)
    tiny = tmp_path / "tiny.png"
    Image.fromarray(textured(1, 48, 80)).save(tiny)
    with pytest.raises(TrainingError, match="80x48 is smaller than a clip of 64 px; lower --patch"):
        make_clips([tiny], tmp_path / "tiny", OPTIONS)
    small = _write(tmp_path / "small.mkv", moving(1, 9, 48))
    with pytest.raises(TrainingError, match="48x48 is smaller than a clip of 64 px; lower --patch"):
        make_clips([small], tmp_path / "small", OPTIONS)
    flat = _write(tmp_path / "flat.mkv", np.full((9, 80, 80, 3), 17, np.uint8))
    with pytest.raises(TrainingError, match="1 stretches: black, white or fog"):
        make_clips([flat], tmp_path / "flat", OPTIONS)
    with pytest.raises(TrainingError, match="already holds a dataset"):
        make_clips([video], tmp_path / "out", OPTIONS)
    with pytest.raises(TrainingError, match="--clips and --low"):
        make_clips([video], tmp_path / "pairs", MakeOptions(clips=1, low="x"))


def test_pictures_are_filmed_by_a_camera(
    tmp_path: Path, video: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parts that cover it, each once, beside the clips of videos; those without detail are left out; and the same after
    a stop."""
    pixels = textured(1, 130, 200)
    pixels[:64, :64] = 90
    picture, twin = tmp_path / "a.png", tmp_path / "b.png"
    for path in (picture, twin):
        Image.fromarray(pixels).save(path)

    def stop(path: Path) -> None:
        if path == twin:
            raise KeyboardInterrupt

    options = MakeOptions(clips=20, length=8, patch=64)
    tally = make_clips([picture, twin], tmp_path / "whole", options)
    store = ClipStore(tmp_path / "whole")
    assert tally.taken == {str(picture): len(store)}, "the second one shows the same"
    assert tally.left_out == {"part of a picture without detail": 2}
    corners = {(clip["left"], clip["top"]) for clip in store.index.clips}
    assert len(corners) == len(store) == 3 * 4 - 1 and (0, 0) not in corners
    assert len({clip.tobytes() for clip in (store[n] for n in range(len(store)))}) == len(store)
    with pytest.raises(KeyboardInterrupt):
        make_clips([picture, twin], tmp_path / "parts", options, on_source=stop)
    next((tmp_path / "parts").glob("clip-*.npy")).unlink()
    make_clips([picture, twin], tmp_path / "parts", options)
    assert _everything(tmp_path / "parts") == _everything(tmp_path / "whole")
    flags = ["--clips", "2", "--length", "8", "--patch", "64", "--json"]
    assert run(["dataset", "make", str(picture), str(tmp_path / "two"), *flags]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["clips"], facts["videos"], facts["pictures"]) == (2, 0, 1)
    both = make_clips([video, picture], tmp_path / "both", OPTIONS)
    assert both.taken[str(picture)] == 7 and both.taken[str(video)] == len(ClipStore(made))


def test_a_source_that_changed_is_refused(video: Path, tmp_path: Path, frames: np.ndarray) -> None:
    source = tmp_path / "a.mkv"
    source.write_bytes(video.read_bytes())
    other = tmp_path / "b.mkv"
    other.write_bytes(b"no video")

    def stop(path: Path) -> None:
        if path == other:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_clips([source, other], tmp_path / "out", OPTIONS, on_source=stop)
    _write(source, frames[:40])
    with pytest.raises(TrainingError, match="has changed since its clips were chosen"):
        make_clips([source, other], tmp_path / "out", OPTIONS)


def test_the_command_says_what_it_made(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    flags = ["--clips", "4", "--length", "8", "--patch", "64"]
    assert run(["dataset", "make", str(video), str(out), *flags, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["clips"] == sum(facts["motion"].values()) == len(ClipStore(out)) and facts["videos"] == 1
    assert run(["dataset", "make", str(video), str(tmp_path / "again"), *flags]) == 0
    assert f"{facts['clips']} clips of 8 frames from 1 video;" in capsys.readouterr().out


def test_progress_is_reported(video: Path, tmp_path: Path) -> None:
    shares = []
    make_clips([video], tmp_path / "out", OPTIONS, on_share=lambda path, share: shares.append((path, share)))
    assert shares == [(video, 0.0), (video, 50 / sum(count for count, _ in SCENES))]


def test_an_empty_dataset_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no clip was found"), ClipWriter(tmp_path / "set", 3, 32):
        pass
    assert not (tmp_path / "set/dataset.json").exists()


@settings(max_examples=25, deadline=None)
@given(
    left=st.integers(0, 90), top=st.integers(0, 60), name=st.sampled_from(["yuv420p", "yuv411p", "yuv422p10le", "gbrp"])
)
def test_a_part_is_converted_as_the_whole_frame_is(left: int, top: int, name: str) -> None:
    format = PixelFormat.parse(name)
    assert format is not None
    rng = np.random.default_rng(left * 100 + top)
    shapes = [format.plane_shape(n, 123, 93) for n in range(format.plane_count)]
    planes = tuple(rng.integers(0, format.max_code + 1, shape).astype(format.dtype) for shape in shapes)
    frame = Frame(planes=planes, format=format, colour=Colour(matrix="bt709" if name != "gbrp" else "gbr"), index=0,
                  pts=0, time_base=Fraction(1, 25))  # fmt: skip
    part = cut_out(frame, left, top, 32)
    assert np.array_equal(part, rgb8_of(frame)[top : top + 32, left : left + 32])

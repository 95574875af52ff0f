"""enhance held to masks and to a least confidence, and the record of what each filter changed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.clips import run_ffmpeg
from tests.support.field_clips import moments
from vidsr.errors import InputError, Interrupted, JobError, OptionsError
from vidsr.jobs.enhance import enhance
from vidsr.jobs.preview.estimate import estimate
from vidsr.jobs.preview.preview import Previewer
from vidsr.jobs.state.events import Event
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions

COUNT, WIDTH, HEIGHT = 24, 128, 96
#: Top left corners of specks of 6x6 px, by frame.
SPECKS = {3: (20, 30), 9: (70, 100), 16: (20, 60), 17: (70, 40)}


@pytest.fixture(scope="module")
def dusty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = [np.clip(np.rint(y), 0, 255).astype(np.uint8) for y in moments(COUNT, 1, seed=2)]
    for number, (y, x) in SPECKS.items():
        clip[number][y : y + 6, x : x + 6] = 255
    path = tmp_path_factory.mktemp("clips") / "dusty.mkv"
    run_ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-"),
        *("-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path)),
        stdin=b"".join(y.tobytes() for y in clip),
    )
    return path


def masks_of(folder: Path, count: int, black_rows: slice) -> Path:
    folder.mkdir()
    share = np.full((HEIGHT, WIDTH), 255, np.uint8)
    share[black_rows] = 0
    for number in range(count):
        Image.fromarray(share).save(folder / f"{number}.png")
    return folder


def run(source: Path, output: Path, model: Path, **options: Any) -> Any:
    return enhance(source, output, **{"model": str(model), "scale": 1, "codec": "ffv1", "segment_frames": 9, **options})


def pictures(path: Path) -> np.ndarray:
    raw = run_ffmpeg("-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-")
    return np.frombuffer(raw, np.uint8).reshape(COUNT, HEIGHT, WIDTH)


def test_black_is_as_without_restoration_and_white_as_without_masks(
    dusty: Path, identity: Path, tmp_path: Path
) -> None:
    plain = run(dusty, tmp_path / "plain.mkv", identity).output.read_bytes()
    cleaned = run(dusty, tmp_path / "cleaned.mkv", identity, restore="dust").output.read_bytes()
    assert plain != cleaned
    black = masks_of(tmp_path / "black", 1, slice(0, None))
    white = masks_of(tmp_path / "white", 1, slice(0, 0))
    held = run(dusty, tmp_path / "held.mkv", identity, restore="dust", masks=str(black))
    assert held.output.read_bytes() == plain
    assert [(c.name, c.frames, c.seen) for c in held.changes] == [("dust", 0, COUNT)]
    free = run(dusty, tmp_path / "free.mkv", identity, restore="dust", masks=str(white))
    assert free.output.read_bytes() == cleaned


def test_masks_act_frame_by_frame_in_place_and_after_a_stop(dusty: Path, identity: Path, tmp_path: Path) -> None:
    masks = masks_of(tmp_path / "masks", COUNT, slice(HEIGHT // 2, None))
    keep: dict[str, Any] = {"restore": "dust", "masks": str(masks), "provenance": True}
    whole = run(dusty, tmp_path / "whole.mkv", identity, **keep)
    source, made = pictures(dusty).astype(int), pictures(whole.output).astype(int)
    for number, (y, x) in SPECKS.items():
        change = np.abs(made[number] - source[number])[y : y + 6, x : x + 6].mean()
        assert (change > 20) == (y < HEIGHT // 2)
    assert np.array_equal(source[:, HEIGHT // 2 :], made[:, HEIGHT // 2 :])

    stop = threading.Event()

    def listen(event: Event) -> None:
        if event.kind == "segment":
            stop.set()

    with pytest.raises(Interrupted):
        run(dusty, tmp_path / "again.mkv", identity, progress=listen, stop=stop, **keep)
    Image.new("L", (WIDTH, HEIGHT), 7).save(masks / "5.png")
    with pytest.raises(JobError, match="the pictures of --masks"):
        run(dusty, tmp_path / "again.mkv", identity, **keep)
    Image.fromarray(np.asarray(Image.open(masks / "4.png"))).save(masks / "5.png")
    again = run(dusty, tmp_path / "again.mkv", identity, **keep)
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert again.changes == whole.changes

    record = json.loads((tmp_path / "whole.mkv.provenance.json").read_text())
    (dust,) = record["changes"]
    assert (dust["filter"], dust["frames"], dust["of_frames"]) == ("dust", 2, COUNT)
    assert dust["pixels"] == int((source != made).sum())
    assert dust["most"][0]["from"] == "0:00:00.120" and dust["most"][0]["frames"] == [3, 17]
    assert record["masks"]["count"] == COUNT


def test_wrong_masks_end_the_job_before_it_begins(dusty: Path, identity: Path, tmp_path: Path) -> None:
    too_few = masks_of(tmp_path / "few", 5, slice(0, 0))
    with pytest.raises(InputError, match="5 masks, the source has 24 frames"):
        run(dusty, tmp_path / "out.mkv", identity, restore="dust", masks=str(too_few))
    small = tmp_path / "small"
    small.mkdir()
    Image.new("L", (64, 48), 255).save(small / "1.png")
    with pytest.raises(InputError, match="the mask is 64x48, the frames of the source are 128x96"):
        run(dusty, tmp_path / "out.mkv", identity, restore="dust", masks=str(small))
    picture = tmp_path / "still.png"
    Image.new("L", (64, 48), 255).save(picture)
    with pytest.raises(OptionsError, match="masks are for videos only"):
        enhance(picture, model=str(identity), masks=str(small))
    assert not (tmp_path / "out.mkv").exists()


def test_a_part_of_a_video_takes_the_masks_of_its_own_frames(dusty: Path, identity: Path, tmp_path: Path) -> None:
    masks = masks_of(tmp_path / "masks", 17, slice(0, None))
    Image.new("L", (WIDTH, HEIGHT), 255).save(masks / "16.png")
    part = run(dusty, tmp_path / "part.mkv", identity, restore="dust", masks=str(masks), frames="9:17")
    (dust,) = part.changes
    assert dust.frames == 1 and dust.most[0].first == 16


def test_a_crop_crops_the_masks(dusty: Path, identity: Path, tmp_path: Path) -> None:
    masks = masks_of(tmp_path / "masks", 1, slice(HEIGHT // 2, None))
    cut = run(dusty, tmp_path / "cut.mkv", identity, restore="crop=0:16:128:64,dust", masks=str(masks))
    assert [(c.name, c.frames) for c in cut.changes] == [("crop", 0), ("dust", 2)]


def test_previews_use_the_mask_of_the_frame_shown(dusty: Path, identity: Path, tmp_path: Path) -> None:
    masks = masks_of(tmp_path / "masks", COUNT, slice(0, None))
    Image.new("L", (WIDTH, HEIGHT), 255).save(masks / "16.png")
    options = EnhanceOptions.from_flat({"model": str(identity), "scale": 1, "restore": "dust", "masks": str(masks)})
    previewer = Previewer(dusty, options)
    changed = []
    for number in (9, 16):
        moment = previewer.at(number / 25 + 0.001)
        changed.append(int((np.abs(moment.before.astype(int) - moment.after.astype(int)) > 20).sum()) > 0)
    assert changed == [False, True]


def test_a_high_least_confidence_leaves_doubtful_repairs_out(dusty: Path, identity: Path, tmp_path: Path) -> None:
    counts = []
    for least in (0.0, 1.0):
        made = run(dusty, tmp_path / f"{least}.mkv", identity, restore="dust", keep_original_below=least)
        counts.append(made.changes[0].pixels)
    assert counts[0] > counts[1] == 0


def test_the_order_is_that_of_restorers_and_plan_says_it(dusty: Path, identity: Path, tmp_path: Path) -> None:
    one = run(dusty, tmp_path / "one.mkv", identity, restore="dust,deflicker")
    other = run(dusty, tmp_path / "other.mkv", identity, restore="deflicker,dust")
    assert one.output.read_bytes() == other.output.read_bytes()
    assert [c.name for c in one.changes] == ["deflicker", "dust"]
    options = EnhanceOptions.from_flat({"model": str(identity), "scale": 1, "restore": "dust,deflicker", "grain": 0.5})
    found = estimate(dusty, options, SamplingOptions(samples=1, sample_frames=2))
    assert "filters act in this order: deflicker, dust, and grain after the network" in found.notes

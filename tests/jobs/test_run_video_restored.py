"""enhance with filters: the result's frames and times, and that an interruption changes nothing."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.clips import run_ffmpeg
from tests.support.colour_scenes import film, stored
from tests.support.places import STILL
from vidsr import inspect
from vidsr.cli.main import run as vidsr
from vidsr.errors import InputError, Interrupted
from vidsr.jobs.enhance import enhance
from vidsr.jobs.preview.estimate import estimate
from vidsr.jobs.recipe import restoration_plan
from vidsr.jobs.state.events import Event
from vidsr.media.probe import probe
from vidsr.models import saving
from vidsr.models.architectures.recurrent_compact import from_still
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.restore_options import MATERIALS
from vidsr.training.degradation.old_film.light import faded

FIELDS = ("-c:v", "mpeg2video", "-q:v", "2", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme")


def moving(rate: str, seconds: str, then: str = "") -> tuple[str, ...]:
    chain = "scale=320:180,crop=64:48:x='20+2*n':y='30+n'" + (f",{then}" if then else "")
    return ("-loop", "1", "-r", rate, "-t", seconds, "-i", str(STILL), "-vf", chain)


@pytest.fixture(scope="module")
def interlaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "interlaced.ts"
    run_ffmpeg(*moving("50", "1.2", "tinterlace=interleave_top,setfield=tff"), *FIELDS, str(path))
    return path


@pytest.fixture(scope="module")
def telecined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "telecined.ts"
    run_ffmpeg(*moving("24000/1001", "1.668", "telecine=first_field=top,setfield=tff"), *FIELDS, str(path))
    return path


def times(path: Path, ffprobe: Callable[..., dict[str, Any]]) -> list[float]:
    told = ffprobe(path, "-select_streams", "v:0", "-show_entries", "frame=pts_time")
    return [float(frame["pts_time"]) for frame in told["frames"]]


def run(source: Path, output: Path, model: Path, **options: Any) -> Path:
    return enhance(source, output, **{"model": str(model), "scale": 1, "codec": "ffv1", **options}).output


def test_telecined_becomes_film(
    telecined: Path, tiny_model: Path, tmp_path: Path, ffprobe: Callable[..., dict[str, Any]]
) -> None:
    result = run(telecined, tmp_path / "film.mkv", tiny_model, restore="auto")
    stamps = times(result, ffprobe)
    assert len(stamps) == 40
    for n, stamp in enumerate(stamps):
        assert stamp == pytest.approx(stamps[0] + n * float(Fraction(1001, 24000)), abs=0.0011)


def test_one_frame_for_each_field(
    interlaced: Path, tiny_model: Path, tmp_path: Path, ffprobe: Callable[..., dict[str, Any]]
) -> None:
    result = run(interlaced, tmp_path / "fields.mkv", tiny_model, restore="deinterlace", fields="double")
    stamps = times(result, ffprobe)
    assert len(stamps) == 60
    assert all(b - a == pytest.approx(0.02, abs=0.0011) for a, b in pairwise(stamps))


def test_crop_changes_the_size(
    interlaced: Path, tiny_model: Path, tmp_path: Path, ffprobe: Callable[..., dict[str, Any]]
) -> None:
    result = run(interlaced, tmp_path / "crop.mkv", tiny_model, restore="crop=8:4:48:40")
    (stream,) = ffprobe(result, "-show_streams", "-select_streams", "v:0")["streams"]
    assert (stream["width"], stream["height"]) == (48, 40)
    for bad in ("crop=0:0:100:40", "crop=1:0:32:32"):
        with pytest.raises(InputError, match="crop"):
            run(interlaced, tmp_path / "bad.mkv", tiny_model, restore=bad)
    assert not (tmp_path / "bad.mkv").exists()


def test_a_warning_names_the_command(interlaced: Path, tiny_model: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)

    run(interlaced, tmp_path / "plain.mkv", tiny_model, progress=listen)
    (warning,) = (note for note in notes if "looks interlaced" in note)
    assert f"vidsr enhance {interlaced} --restore auto" in warning and "\n" not in warning


def test_what_is_chosen_and_left_out_is_said(interlaced: Path, tiny_model: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)

    run(interlaced, tmp_path / "auto.mkv", tiny_model, restore="auto", progress=listen)
    assert any(note.startswith("--restore auto: deinterlace=") for note in notes)
    run(interlaced, tmp_path / "crop.mkv", tiny_model, restore="crop,deblock", fields="double", progress=listen)
    assert any(note.startswith("--restore crop: left out, no bars") for note in notes)
    assert any(note.startswith("--fields double: without effect") for note in notes)


RESHAPED: list[tuple[str, str, dict[str, Any]]] = [
    ("telecined", "film.mkv", {"restore": "auto"}),
    ("interlaced", "fields.mkv", {"restore": "deinterlace,crop=8:4:48:40", "fields": "double"}),
    ("interlaced", "fields.mov", {"restore": "deinterlace=tff", "fields": "double", "codec": "prores"}),
    ("repeating", "recorded.mov", {"restore": "dedupe", "codec": "prores", "provenance": True}),
]


@pytest.fixture
def repeating(tmp_path: Path) -> Path:
    path = tmp_path / "repeats.mkv"
    run_ffmpeg(*moving("24", "1", "fps=30"), "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path))
    return path


@pytest.mark.parametrize(("clip", "name", "options"), RESHAPED)
def test_a_lone_verification_knows_other_frames_and_times(
    clip: str, name: str, options: dict[str, Any], tiny_model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(clip)
    chosen = {"codec": "ffv1", "model": str(tiny_model), "scale": 1, **options}
    result = enhance(source, tmp_path / name, **chosen).output
    given = ["--restore", str(options["restore"]), "--fields", options.get("fields", "same")]
    silent = result.suffix == ".mov" and not options.get("provenance")

    def verified(made: Path, *more: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            return vidsr(["verify", str(source), str(made), *more]), out.getvalue()

    assert verified(result)[0] == int(silent)
    code, shown = verified(result, *(given if silent else []))
    assert code == 0 and "restored" in shown, shown
    # One frame at another time, or frames too few, are seen.
    spoilt = tmp_path / f"spoilt{result.suffix}"
    for change in (("-bsf:v", "setts=ts='if(eq(N,5),TS+11,TS)'"), ("-frames:v", "10")):
        run_ffmpeg("-i", str(result), "-c", "copy", *change, str(spoilt))
        assert verified(spoilt, *given)[0] == 1


@pytest.mark.parametrize(
    ("clip", "options", "frames", "note"),
    [
        (
            "telecined",
            {"restore": "ivtc=tff"},
            40,
            "of 50 frames of 64x48, 29.970 a second, it makes 40 of 64x48, 23.976",
        ),
        ("interlaced", {"restore": "deinterlace=tff", "fields": "double"}, 60, "it makes 60 of 64x48, 50.000"),
        ("interlaced", {"restore": "crop=8:4:48:40"}, 30, "it makes 30 of 48x40, 25.000"),
        ("repeating", {"restore": "dedupe"}, 24, "it makes 24 of 64x48, 24.000"),
    ],
)
def test_a_plan_shows_what_the_filters_make(
    clip: str, options: dict[str, Any], frames: int, note: str, tiny_model: Path, request: pytest.FixtureRequest
) -> None:
    chosen = EnhanceOptions.from_flat({"model": str(tiny_model), "scale": 1, "codec": "ffv1", **options})
    found = estimate(request.getfixturevalue(clip), chosen, SamplingOptions(samples=1, sample_frames=2))
    assert found.frames == frames
    assert any(note in line for line in found.notes), found.notes


def stopped_and_resumed(source: Path, output: Path, model: Path, **options: Any) -> Path:
    stop = threading.Event()

    def listen(event: Event) -> None:
        if event.kind == "segment":
            stop.set()

    with pytest.raises(Interrupted):
        run(source, output, model, progress=listen, stop=stop, **options)
    return run(source, output, model, **options)


CASES: list[dict[str, Any]] = [
    {"restore": "deinterlace,deflicker,grey", "stabilize": 0.8, "grain": 1.0, "segment_frames": 15},
    {"restore": "deinterlace", "fields": "double", "strength": 0.5, "fidelity": "1", "segment_frames": 30},
    {"restore": "ivtc", "segment_frames": 15},
]


@pytest.mark.long
@pytest.mark.parametrize("options", CASES)
def test_resuming_is_byte_identical(
    options: dict[str, Any], interlaced: Path, telecined: Path, tiny_model: Path, tmp_path: Path
) -> None:
    source = telecined if options["restore"] == "ivtc" else interlaced
    whole = run(source, tmp_path / "whole.mkv", tiny_model, **options)
    again = stopped_and_resumed(source, tmp_path / "again.mkv", tiny_model, **options)
    assert whole.read_bytes() == again.read_bytes()


@pytest.mark.long
def test_a_network_that_takes_its_last_result_resumes(interlaced: Path, tmp_path: Path) -> None:
    """Byte for byte; and the warm-up hides its joints: the result is nearly that without any."""
    torch.manual_seed(3)
    network = from_still(SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=1)))
    with torch.no_grad():
        for weight in network.body.parameters():
            weight.mul_(0.3)
        assert network.gate.bias is not None
        network.gate.bias.fill_(0.6)
    model = tmp_path / "recurrent.safetensors"
    saving.save(model, network.state_dict(), {})
    options: dict[str, Any] = {"segment_frames": 15, "restore": "deinterlace"}
    whole = run(interlaced, tmp_path / "whole.mkv", model, **options)
    again = stopped_and_resumed(interlaced, tmp_path / "again.mkv", model, **options)
    assert whole.read_bytes() == again.read_bytes()

    def codes(path: Path) -> np.ndarray:
        return np.frombuffer(run_ffmpeg("-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-"), np.uint8)

    unbroken = run(interlaced, tmp_path / "one.mkv", model, **options | {"segment_frames": 64})
    assert np.abs(codes(unbroken).astype(int) - codes(whole)).max() <= 2


@pytest.mark.long
def test_film_is_steadied_the_same_after_an_interruption(tiny_model: Path, tmp_path: Path) -> None:
    """A picture that trembles, with a line that wanders over it."""
    source = tmp_path / "film.mkv"
    tremble = "scale=320:180,crop=128:96:x='40+mod(7*n,3)':y='30+mod(5*n,4)'"
    line = "geq=lum='if(lt(abs(X-60-2*sin(N/4)),1.2),240,lum(X,Y))':cb='cb(X,Y)':cr='cr(X,Y)'"
    run_ffmpeg(
        *("-loop", "1", "-r", "24", "-t", "1.5", "-i", str(STILL), "-vf", f"{tremble},{line}"),
        *("-c:v", "ffv1", "-pix_fmt", "yuv420p", str(source)),
    )
    options: dict[str, Any] = {"restore": "weave,scratch", "segment_frames": 12}
    plain = run(source, tmp_path / "plain.mkv", tiny_model, segment_frames=12)
    whole = run(source, tmp_path / "whole.mkv", tiny_model, **options)
    again = stopped_and_resumed(source, tmp_path / "again.mkv", tiny_model, **options)
    assert whole.read_bytes() == again.read_bytes()
    assert whole.stat().st_size < plain.stat().st_size


@pytest.mark.long
def test_faded_film_gets_its_dyes_back_the_same_in_any_segments_and_after_an_interruption(
    tiny_model: Path, tmp_path: Path
) -> None:
    """The loss is found once in the whole film and stored with the job; a film that has not faded stays as it is."""
    source, sound = tmp_path / "film.mkv", tmp_path / "sound.mkv"
    for path, lost in ((source, (0.5, 0.1, 0.3)), (sound, (0.0, 0.0, 0.0))):
        pictures = [faded(picture, lost) if any(lost) else picture for picture in film(16, 8)]
        run_ffmpeg(
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", "24", "-i", "-"),
            *("-c:v", "ffv1", "-pix_fmt", "gbrp", str(path)),
            stdin=b"".join(picture.tobytes() for picture in stored(pictures)),
        )
    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)

    def pictures_of(path: Path) -> bytes:
        return run_ffmpeg("-i", str(path), "-f", "framemd5", "-")

    whole = run(source, tmp_path / "whole.mkv", tiny_model, restore="fade=0.5", segment_frames=64, provenance=True)
    again = stopped_and_resumed(source, tmp_path / "again.mkv", tiny_model, restore="fade=0.5", segment_frames=50)
    plain = run(source, tmp_path / "plain.mkv", tiny_model, segment_frames=64)
    assert pictures_of(again) == pictures_of(whole) != pictures_of(plain)
    record = json.loads((tmp_path / "whole.mkv.provenance.json").read_text())
    assert any(re.fullmatch(r"--restore fade: found fade=0\.5(:0(\.\d+)?){3}", note) for note in record["not_kept"])
    left = run(sound, tmp_path / "left.mkv", tiny_model, restore="fade", segment_frames=64, progress=listen)
    same = run(sound, tmp_path / "same.mkv", tiny_model, segment_frames=64)
    assert pictures_of(left) == pictures_of(same)
    assert any(note.startswith("--restore fade: left out, at least 12 different scenes") for note in notes)
    text = inspect_page(source, tmp_path / "page.html")
    section = text.split('id="fade"')[1].split("</section>")[0]
    assert "with --restore fade" in section and section.count("<img") == 6


def inspect_page(source: Path, page: Path) -> str:
    inspect(source, report=page)
    return page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", MATERIALS)
def test_every_material_resumes(name: str, telecined: Path, tiny_model: Path, tmp_path: Path) -> None:
    whole = run(telecined, tmp_path / "whole.mkv", tiny_model, segment_frames=7, preset=name)
    again = stopped_and_resumed(telecined, tmp_path / "again.mkv", tiny_model, segment_frames=7, preset=name)
    assert whole.read_bytes() == again.read_bytes()


def test_neighbours_are_left_out_of_a_very_noisy_source_without_a_trace(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration_plan, "AUTO_MULTIFRAME_MODELS", (str(tiny_model),))
    source = tmp_path / "noisy.mkv"
    noise = "noise=alls=80:allf=t+u"
    run_ffmpeg(*moving("24", "1", noise), "-c:v", "ffv1", "-pix_fmt", "gbrp", str(source))
    notes: list[str] = []
    auto = enhance(
        source,
        tmp_path / "auto.mkv",
        model=str(tiny_model),
        codec="ffv1",
        multiframe="auto",
        provenance=True,
        segment_frames=10,
        progress=lambda event: notes.append(event.text) if event.kind == "note" else None,
    )
    plain = run(source, tmp_path / "plain.mkv", tiny_model, scale=None, segment_frames=10, multiframe="off")
    made, expected = (run_ffmpeg("-i", str(path), "-f", "framemd5", "-") for path in (auto.output, plain))
    assert made == expected
    assert auto.neighbours == ((0, 24, "noise"),)
    assert any("--multiframe auto: 0 of 24 frames" in note for note in auto.notes)
    assert sum("--multiframe auto: 0 of 24 frames" in note for note in notes) == 1, "said once, when the job ends"
    record = json.loads((tmp_path / "auto.mkv.provenance.json").read_text())
    assert record["facts"]["neighbours"] == [[0, 24, "noise"]] and record["neighbours"] is None


def test_neighbours_are_left_out_of_a_compressed_source(telecined: Path, tiny_model: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)

    run(telecined, tmp_path / "auto.mkv", tiny_model, multiframe="auto", provenance=True, progress=listen)
    assert not any("multiframe" in note for note in notes), "nobody asked for it"
    assert json.loads((tmp_path / "auto.mkv.provenance.json").read_text())["neighbours"] is None
    chosen = EnhanceOptions.from_flat({"model": str(tiny_model), "multiframe": "auto", "scale": 1})
    planned = estimate(telecined, chosen, SamplingOptions(samples=1, sample_frames=2))
    (note,) = (note for note in planned.notes if note.startswith("--multiframe auto"))
    assert "left out" in note and "compressed with loss (mpeg2video)" in note


@pytest.mark.parametrize(("invent", "reason"), [(1.0, ""), (0.4, ""), (0.0, "--invent 0 leaves")])
def test_neighbours_are_judged_wherever_the_network_has_a_share(
    invent: float, reason: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 0 nothing but the faithful network's result is left."""
    monkeypatch.setattr(restoration_plan, "AUTO_MULTIFRAME_MODELS", (str(tiny_model),))
    source = tmp_path / "still.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "color=gray:s=32x32:r=24:d=0.25", "-c:v", "ffv1", str(source))
    options = {"multiframe": "auto", "invent": invent, "model": str(tiny_model), "codec": "ffv1"}
    made = enhance(source, tmp_path / "made.mkv", **options)  # type: ignore[arg-type]
    assert [run[:2] for run in made.neighbours] == ([] if reason else [(0, 6)])
    chosen = EnhanceOptions.from_flat(options)
    told = restoration_plan.left_out_neighbours(chosen, probe(source))
    assert told.startswith(reason) and bool(told) == bool(reason)


@pytest.mark.slow
@pytest.mark.parametrize("invent", [1.0, 0.4])
def test_neighbouring_frames_give_the_same_result_in_any_segments_and_after_an_interruption(
    invent: float, tiny_model: Path, tmp_path: Path
) -> None:
    source = tmp_path / "moving.mkv"
    crop = "scale=320:180,crop=32:24:x='20+2*n':y='30+n'"
    run_ffmpeg("-loop", "1", "-r", "24", "-i", str(STILL), "-vf", crop, "-frames:v", "40", "-c:v", "ffv1", str(source))

    def pictures(path: Path) -> bytes:
        return run_ffmpeg("-i", str(path), "-f", "framemd5", "-")

    whole = pictures(run(source, tmp_path / "whole.mkv", tiny_model, multiframe=0.5, invent=invent, segment_frames=64))
    parts = pictures(run(source, tmp_path / "parts.mkv", tiny_model, multiframe=0.5, invent=invent, segment_frames=12))
    assert parts == whole
    assert pictures(run(source, tmp_path / "plain.mkv", tiny_model, invent=invent, segment_frames=64)) != whole

    again = tmp_path / "again.mkv"
    resumed = stopped_and_resumed(source, again, tiny_model, multiframe=0.5, invent=invent, segment_frames=12)
    assert pictures(resumed) == whole

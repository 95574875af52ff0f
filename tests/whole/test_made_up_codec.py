"""A codec is one row: a made-up one, put into the table before anything else is imported, does all that others do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle, processes
from tests.support.clips import ClipFactory

_PROGRAM = """
import json, sys
from pathlib import Path
from vidsr import codec_table
codec_table.CODECS["mpeg2video"] = codec_table.CodecEntry(
    name="mpeg2video",
    encoder="mpeg2video",
    formats=("yuv420p", "yuv422p"),
    containers=(".mkv", ".mov", ".nut"),
    presets=(),
    options=(("b", "4M"),),
    even=True,
    limited_range=True,
    matrices=frozenset({1, 5, 6}),
    bits_per_pixel=7.0,
)
from vidsr.cli.main import main
from vidsr.jobs.disk_space import estimate_bytes
from vidsr.media.encode.encoder_plan import prepare
from vidsr.media.mux.containers import CONTAINERS
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EnhanceOptions

source, model, output = sys.argv[1:]
prepared = prepare(probe(Path(source)), EnhanceOptions.from_flat({"codec": "mpeg2video"}), 1)
facts = {
    "containers": [suffix for suffix, entry in CONTAINERS.items() if entry.holds_codec("mpeg2video")],
    "estimate": estimate_bytes(prepared.settings, 8),
    "notes": prepared.settings.format.notes,
    "format": prepared.settings.format.pixel_format,
}
def run(*words):
    sys.argv = ["vidsr", *words]
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0
facts["enhance"] = run("enhance", source, "-o", output, "--model", model, "--scale", "1", "--codec", "mpeg2video",
                       "--progress", "none", "--device", "cpu")
facts["mp4"] = run("enhance", source, "-o", output + ".mp4", "--model", model, "--codec", "mpeg2video")
facts["verify"] = run("verify", source, output)
print("FACTS" + json.dumps(facts))
"""


@pytest.fixture(scope="module")
def facts(clips: ClipFactory, identity: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("made-up") / "out.mkv"
    source = clips.make(
        "full.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4", "-c:v", "ffv1", "-pix_fmt", "yuvj444p",
        "-color_range", "pc", "-colorspace", "smpte240m",
    )  # fmt: skip
    command = [sys.executable, "-c", _PROGRAM, str(source), str(identity), str(output)]
    done = processes.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.partition("FACTS")[2])
    return found | {"output": output, "stderr": done.stderr, "stdout": done.stdout}


def test_enhance_writes_it_and_verify_accepts_it(facts: dict[str, Any]) -> None:
    assert (facts["enhance"], facts["verify"]) == (0, 0), facts["stderr"]
    stream = next(s for s in oracle.streams(facts["output"]) if s["codec_type"] == "video")
    assert (stream["codec_name"], stream["pix_fmt"], stream["color_range"]) == ("mpeg2video", "yuv422p", "tv")


def test_its_limits_are_known_before_the_work(facts: dict[str, Any]) -> None:
    notes = " ".join(facts["notes"])
    assert "mpeg2video knows limited range only" in notes and "mpeg2video has no code for the matrix smpte240m" in notes
    assert "mpeg2video stores colour as yuv422p: coarser than the source's yuv444p" in notes


def test_its_containers_and_size_come_from_the_row(facts: dict[str, Any]) -> None:
    assert facts["containers"] == [".mkv", ".mov", ".nut"]
    assert facts["mp4"] == 1 and "use .mkv or .mov or .nut" in facts["stderr"]
    assert facts["estimate"] == round(64 * 48 * 7.0 * 8 / 8)

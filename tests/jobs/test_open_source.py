"""What is wrong with a source, a model's name or an output is said before PyTorch is loaded."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support import processes
from tests.support.clips import ClipFactory

PROGRAM = """
import sys
from vidsr.errors import InputError, ModelError, OutputError, VidsrError
from vidsr.jobs.enhance import enhance

clip, text, there = sys.argv[1:]
cases = [
    (InputError, "missing.mkv", "out.mkv", {}),
    (InputError, text, "out.mkv", {}),
    (ModelError, clip, "out.mkv", {"model": "realesr-animevideo"}),
    (OutputError, clip, there, {}),
    (OutputError, clip, clip, {"overwrite": True}),
    (OutputError, clip, "no/such/folder/out.mkv", {}),
]
for kind, source, output, options in cases:
    try:
        enhance(source, output, **options)
    except VidsrError as error:
        assert isinstance(error, kind), repr(error)
    else:
        sys.exit(f"{source} to {output} was not refused")
assert not {"torch", "tifffile"} & set(sys.modules)
"""


def test_errors_do_not_wait_for_torch(clips: ClipFactory, tmp_path: Path) -> None:
    text, there = tmp_path / "notes.mkv", tmp_path / "there.mkv"
    text.write_text("no video")
    there.write_text("a result")
    done = processes.run(
        [sys.executable, "-c", PROGRAM, str(clips("basic")), str(text), str(there)],
        capture_output=True,
        text=True,
        limit_seconds=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert there.read_text() == "a result" and not (tmp_path / "out.mkv").exists()

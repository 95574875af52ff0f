"""``vidsr compare`` as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.places import SAMPLE
from vidsr.cli import main

QUICK = ("--limit", "3", "--measures", "psnr,ssim", "--device", "cpu")


def test_json_csv_report(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["compare", str(SAMPLE), str(SAMPLE), *QUICK, "--json", "--csv", "v.csv", "--report", "r.html"]
    assert main.run(command) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["psnr"] == 100 and len(answer["results"][0]["per_frame"]) == 3
    assert "3/3" in err, "a progress bar on stderr"
    assert Path("v.csv").read_text().startswith("path,seconds,psnr,ssim\n")
    assert "<svg" not in Path("r.html").read_text() and "reference" in Path("r.html").read_text()
    assert main.run(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html", "v.csv"]


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["compare", str(SAMPLE), str(SAMPLE), *QUICK, "-q"]) == 0
    out, err = capsys.readouterr()
    assert "psnr" in out and "100.00" in out and "higher" in out and "3 frames compared" in out
    assert err == ""


@pytest.mark.parametrize(
    "wrong, code, said",
    [
        (["--fit", "x"], 2, "--fit x"),
        (["--align", "x"], 2, "--align x"),
        (["--measures", "nope"], 2, "known are"),
        (["--report", "/nowhere/r.html"], 1, "does not exist"),
        (["--report", SAMPLE, "--overwrite"], 1, "one of the input videos"),
    ],
)
def test_refusals(wrong: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["compare", str(SAMPLE), str(SAMPLE), *wrong]) == code
    assert said in capsys.readouterr().err


def test_help_is_quick_to_load() -> None:
    code = (
        "import sys, vidsr.cli.main as m; m.run(['compare', '--help']); assert not {'torch', 'av'} & sys.modules.keys()"
    )
    done = processes.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "vidsr compare original.mkv enhanced.mkv" in done.stdout


def test_without_a_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "r.html"
    command = ["compare", "--no-reference", str(SAMPLE), str(SAMPLE), "--limit", "2", "--device", "cpu", "-q"]
    measures = ["--measures", "blockiness,sharpness,consistency"]
    assert main.run([*command, "--source", str(SAMPLE), *measures, "--report", str(page)]) == 0
    out = capsys.readouterr().out
    assert "consistency" in out and "100.00" in out and "2 frames measured" in out and "as source" in out
    assert "Moments" in page.read_text() and SAMPLE.name in page.read_text()
    assert main.run([*command, "--measures", "blockiness", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["results"]) == 2
    assert main.run([*command, "--measures", "consistency"]) == 2
    assert "give --source" in capsys.readouterr().err
    assert main.run(["compare", str(SAMPLE), str(SAMPLE), "--source", str(SAMPLE)]) == 2
    assert "only with --no-reference" in capsys.readouterr().err
    assert main.run(["compare", str(SAMPLE)]) == 2
    assert "name at least one other video" in capsys.readouterr().err

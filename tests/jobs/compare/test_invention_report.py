"""What reports show about invention, of real files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.support.places import SAMPLE
from vidsr.cli.compare import app
from vidsr.jobs.compare.compare import CompareSettings, compare
from vidsr.jobs.compare.invention import map_invention
from vidsr.jobs.compare.invention_file import invention_file
from vidsr.jobs.compare.invention_report import shown_invention

SHORT = ("-an", "-frames:v", "3", "-c:v", "ffv1", "-pix_fmt", "yuv420p")


@pytest.fixture
def pair(make_clip: Callable[..., Path]) -> tuple[Path, Path]:
    """A source, and a result whose right half is noisier in every frame."""
    source = make_clip("shown-source.mkv", "-i", str(SAMPLE), "-vf", "crop=48:32", *SHORT)
    graph = "[0]scale=192:128,split[a][b];[b]crop=96:128:96:0,noise=alls=40:allf=t[c];[a][c]overlay=96:0"
    return source, make_clip("shown-result.mkv", "-i", str(source), "-filter_complex", graph, *SHORT)


def test_figures_next_to_the_result_and_maps_of_the_pictures(pair: tuple[Path, Path], tmp_path: Path) -> None:
    source, result = pair
    compared = compare(source, [result], CompareSettings(measures=("psnr",), fit="reference", device="cpu"))
    pictures = compared.others[0].measured.worst
    kept = invention_file(result, "json")
    assert shown_invention(result, source, pictures, clock="source", device="cpu") is None, "it was not measured"
    try:
        film = map_invention(source, result, kept, device="cpu").film()
        shown = shown_invention(result, source, pictures, clock="source", device="cpu")
        assert shown is not None and shown.film.invented_percent == film["invented_percent"] and len(shown.frames) == 3
        assert len(shown.layers) == len(pictures) > 0 and shown.layers[0] is not None
        alpha = np.asarray(Image.open(io.BytesIO(shown.layers[0])))[..., 3].astype(float)
        assert alpha.shape == (32, 48) and alpha[:, 28:].mean() > alpha[:, :20].mean() + 5, "redder where the noise is"
        other = shown_invention(result, result, pictures, clock="source", device="cpu")
        assert other is not None and other.layers == (), "what it is compared with is not its source"
        figures = json.loads(kept.read_text())
        figures["of"]["result"]["sampled_blake2"] = "0" * 64
        for wrong in (figures, {"of": 1}, [], figures | {"frames": []}):
            kept.write_text(json.dumps(wrong))
            assert shown_invention(result, source, pictures, clock="source", device="cpu") is None
    finally:
        kept.unlink(missing_ok=True)


def test_compare_measures_and_reports_in_one_go(pair: tuple[Path, Path], tmp_path: Path) -> None:
    report, target = tmp_path / "report.html", tmp_path / "map.json"
    files = [*map(str, pair), "--invention", str(target), "--report", str(report)]
    ran = CliRunner().invoke(app, [*files, "--measures", "psnr", "--device", "cpu", "--json", "--quiet"])
    assert ran.exit_code == 0, ran.output
    printed = json.loads(ran.stdout)
    assert printed["results"][0]["invention"] == json.loads(target.read_text())
    page = report.read_text(encoding="utf-8")
    assert "What was invented" in page and page.count("data:image/png;base64,") >= 1
    assert f"{printed['results'][0]['invention']['film']['invented_percent']:.0f} % invented" in page

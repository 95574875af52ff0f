"""`vidsr bench`: its counts are the hand-made ones, and its output is what it says."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from vidsr.cli.main import run
from vidsr.inference.bench import operations_per_pixel, side_within
from vidsr.models.architectures.recurrent_compact import RecurrentCompact
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact


def test_operations_are_those_counted_by_hand() -> None:
    # Per source pixel: 3→64, then per block 9·(64·32 + 96·32 + 128·32 + 160·32 + 192·64)·3, and the tail.
    assert operations_per_pixel(SRVGGNetCompact(), 4) == 2 * 619_200
    six = RRDBNet(RRDBNetConfig(num_block=6))
    assert operations_per_pixel(six, 4) == 2 * 5_706_432
    # With the folded last result 48→64 in the first layer, and the gate 64→16.
    assert operations_per_pixel(RecurrentCompact(), 4) == 2 * (619_200 + 9 * (48 * 64 + 64 * 16))


@pytest.mark.parametrize(
    ("seconds_of_largest", "side"), [(0.2, 1536), (0.25, 1536), (0.26, 768), (2, 768), (12.6, 384), (1e3, 192)]
)
def test_the_largest_product_fits_into_the_budget(seconds_of_largest: float, side: int) -> None:
    assert side_within(lambda n: seconds_of_largest * (n / 1536) ** 3, 1536, 1.0) == side


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.inference.bench._MOST", 3)
    picture = tmp_path / "bench.svg"
    arguments = ["bench", "--model", "realesr-animevideov3", "--size", "24x16", "--seconds", "0.1", "--json"]
    backends = ["--backend", "torch", "--backend", "auto", "--precision", "fp32", "--device", "cpu"]
    before = torch.get_num_threads()
    assert run([*arguments, *backends, "--picture", str(picture)]) == 0
    assert torch.get_num_threads() == before
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["backend"] == "torch"
    assert len(found["rows"]) == 2
    for row in found["rows"]:
        assert row["size"] == "24x16" and row["precision"] == "fp32"
        assert row["tflops"] == pytest.approx(2 * 619_200 * 24 * 16 * row["frames_per_second"] / 1e12)
        assert row["share"] == pytest.approx(row["tflops"] / found["ceilings"]["matmul_tflops"]["fp32"])
    assert len(ElementTree.parse(picture).getroot().findall("{http://www.w3.org/2000/svg}rect")) == 1 + 2


def test_a_wrong_size_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--size", "640", "--seconds", "0.1"]) == 2
    assert "--size 640" in capsys.readouterr().err

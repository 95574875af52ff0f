"""The table of models that vidsr plan prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import vidsr
from vidsr.jobs.choosing import model_table
from vidsr.jobs.choosing.model_table import plan_models, shipped_models, table_lines
from vidsr.jobs.preview.estimate import estimate
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions


def test_all_shipped_models_that_enlarge_are_in_it_once() -> None:
    names = shipped_models()
    assert len(names) == len(set(names)) and "realesr-general-wdn-x4v3" not in names
    assert {"realesrgan-x4plus", "realesr-general-x4v3", "faithful"} <= set(names)


@pytest.mark.long
def test_each_model_is_tried_and_the_estimated_one_keeps_its_figures(
    clips: Any, tiny_model: Path, identity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_table, "shipped_models", lambda: ["realesr-animevideov3", str(identity)])
    options = EnhanceOptions.from_flat({"model": str(tiny_model), "height": 96})
    sampling = SamplingOptions(samples=1, sample_frames=4)
    found = estimate(clips("basic"), options, sampling)
    rows = plan_models(clips("basic"), None, options, found, sampling)
    assert [row.model for row in rows] == [str(tiny_model), "realesr-animevideov3", str(identity)]
    assert (rows[0].seconds, rows[0].result_bytes) == (found.seconds, found.result_bytes)
    assert all(row.seconds > 0 and row.result_bytes > 0 for row in rows)
    assert len({row.result_bytes for row in rows}) == 3
    assert "Animated video" in list(table_lines(rows))[1]


@pytest.mark.long
def test_plan_prints_it_where_no_model_is_named(clips: Any) -> None:
    command = ("plan", str(clips("film")), "--scale", "2", "--samples", "1", "--sample-frames", "2", "--quiet")
    text = vidsr(*command).stdout
    assert all(name in text for name in shipped_models())
    assert json.loads(vidsr(*command, "--json", "--model", "faithful").stdout)["models"] == []

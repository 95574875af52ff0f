"""--model auto and --within: what is chosen, what stays chosen, and what is refused."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.support import oracle
from tests.support.drawings import drawn
from tests.support.small_job import SmallJob
from vidsr import enhance, enhance_many, plan_many
from vidsr.errors import Interrupted, OptionsError
from vidsr.jobs.choosing import candidates
from vidsr.jobs.choosing.settle import settle, weights_of
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.manifest import Manifest
from vidsr.models.zoo import load_chosen
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions


def options(**values: Any) -> EnhanceOptions:
    return EnhanceOptions.from_flat({"scale": 2} | values)


@pytest.fixture
def two_models(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two small models in the place of those that --within chooses from."""
    other = tmp_path / "other-x4.safetensors"
    save_file({name: 0.9 * tensor for name, tensor in load_file(tiny_model).items()}, str(other))
    pair = (str(tiny_model), str(other))
    monkeypatch.setattr(candidates, "_LADDERS", dict.fromkeys(candidates.BY_KIND, pair))
    return pair


def test_named_models_are_not_looked_for(clips: Any) -> None:
    asked = options(model="faithful")
    settled = settle(clips("basic"), None, asked, "video")
    assert settled.options is asked and settled.notes == ()


def test_auto_takes_the_model_for_drawings_only_where_the_source_is_drawn(clips: Any, tmp_path: Path) -> None:
    Image.fromarray(drawn()).save(tmp_path / "cartoon.png")
    found = settle(tmp_path / "cartoon.png", None, options(model="auto"), "picture")
    assert found.options.model.model == "realesrgan-x4plus-anime-6B"
    assert found.notes == ("--model auto: drawings, realesrgan-x4plus-anime-6B",)
    filmed = settle(clips("basic"), None, options(model="auto"), "video")
    assert filmed.options.model.model == "realesrgan-x4plus" and "camera footage" in filmed.notes[0]


def test_the_best_model_is_taken_where_there_is_time(clips: Any, two_models: tuple[str, str], tmp_path: Path) -> None:
    result = enhance(clips("basic"), tmp_path / "out.mkv", options=options(finish_within="2h"))
    assert result.model == two_models[0]
    assert result.notes[0].startswith(f"--within 2:00:00: {two_models[0]}, about ")


def test_too_little_time_is_an_error_that_says_what_each_would_take(
    clips: Any, two_models: tuple[str, str], tmp_path: Path
) -> None:
    with pytest.raises(OptionsError, match=r"--within 0\.001: too short for basic\.mp4") as error:
        enhance(clips("basic"), tmp_path / "out.mkv", options=options(finish_within=Fraction(1, 1000)))
    assert all(model in str(error.value) for model in two_models)
    assert list(tmp_path.iterdir()) == [Path(two_models[1])]


@pytest.mark.long
@pytest.mark.usefixtures("one_segment_at_a_time")
def test_an_interrupted_job_goes_on_with_what_was_chosen_for_it(
    small_job: SmallJob, two_models: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lazily(model: str) -> dict[str, Any]:
        return {"model": "auto", "finish_within": "2h"} if model == "auto" else {"model": model}

    small_job.stop_after(2, **lazily("auto"))
    assert Manifest.load(small_job.job).options["model"]["model"] == two_models[0]
    # Now the other is the better one: the job keeps its own all the same.
    monkeypatch.setattr(candidates, "_LADDERS", dict.fromkeys(candidates.BY_KIND, two_models[::-1]))
    result = small_job.run(**lazily("auto"))
    assert result.model == two_models[0] and result.resumed_frames == 12
    assert "chosen when the job was started" in result.notes[0]
    assert oracle.digest(small_job.output) == small_job.wanted


def test_a_stop_ends_the_trials(clips: Any, two_models: tuple[str, str]) -> None:
    stop = Stop()
    stop.soft.set()
    with pytest.raises(Interrupted):
        settle(clips("basic"), None, options(finish_within="2h"), "video", stop=stop)


def test_pictures_and_queues_have_no_time_to_keep(clips: Any, tmp_path: Path) -> None:
    Image.fromarray(drawn()).save(tmp_path / "a.png")
    shutil.copy2(clips("basic"), tmp_path / "b.mp4")
    limited = options(finish_within="1h")
    with pytest.raises(OptionsError, match="not a video"):
        enhance(tmp_path / "a.png", options=limited)
    for refused in (enhance_many, plan_many):
        with pytest.raises(OptionsError, match="takes one video"):
            refused([tmp_path], options=limited)


def test_a_queue_depends_on_both_models_that_auto_may_take() -> None:
    both, one = weights_of(options(model="auto")), weights_of(options())
    assert both.scale == one.scale == 4 and both.sha256 != one.sha256
    assert one.sha256 == load_chosen(ModelOptions()).sha256


def test_a_model_is_named_where_there_is_no_file_to_look_at() -> None:
    with pytest.raises(OptionsError, match="has to look at a file"):
        load_chosen(ModelOptions(model="auto"))
    with pytest.raises(OptionsError, match="contradict"):
        options(model="auto", denoise_strength=0.5)

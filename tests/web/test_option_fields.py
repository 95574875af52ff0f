"""Options and presets as the web app offers and takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra web is not installed")

from vidsr.errors import OptionsError
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.presets import save_preset
from vidsr.web.option_fields import checked_options, preset_infos


def test_presets_are_listed_and_taken_by_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_CONFIG", str(tmp_path / "config"))
    save_preset(
        "mine", {"crf": 20.0, "strength": 0.5, "device": "cuda:7", "encoder_options": ("tune=film",)}, EnhanceOptions
    )
    listed = {p.name: p for p in preset_infos()}
    assert listed["vhs"].material and listed["vhs"].options["stabilize"] == 0.5
    # What HTTP may not set is not offered either.
    assert listed["mine"].options == {"crf": 20.0, "strength": 0.5} and not listed["mine"].material
    assert checked_options({"preset": "mine"}, [tmp_path]).encode.crf == 20
    for name in ("../mine", "/etc/x.toml", "mine.toml", "..", ".hidden"):
        with pytest.raises(OptionsError, match="name a preset here, not a file"):
            checked_options({"preset": name}, [tmp_path])


def test_a_model_is_named_left_to_vidsr_or_a_file_in_the_folders(tmp_path: Path) -> None:
    assert checked_options({"model": "auto"}, [tmp_path]).model.model == "auto"
    assert checked_options({"finish_within": "8h"}, [tmp_path]).model.finish_within == 8 * 3600
    with pytest.raises(OptionsError, match="neither a known model nor a file"):
        checked_options({"model": "/etc/passwd"}, [tmp_path])
    with pytest.raises(OptionsError, match=r"--within soon: not a duration"):
        checked_options({"finish_within": "soon"}, [tmp_path])


def test_masks_lie_in_the_served_folders(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    assert checked_options({"masks": "masks"}, [tmp_path]).restore.masks == str(tmp_path / "masks")
    with pytest.raises(OptionsError, match=r"--masks '/etc': not a folder in the served folders"):
        checked_options({"masks": "/etc"}, [tmp_path])

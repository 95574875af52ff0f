"""The restoration options and the materials that stand for sets of them."""

from __future__ import annotations

import pytest

from vidsr.errors import OptionsError
from vidsr.options import EnhanceOptions
from vidsr.restore_options import FILTERS, MATERIALS, RestoreOptions


@pytest.mark.parametrize("name", MATERIALS)
def test_every_material_is_a_valid_set_of_options(name: str) -> None:
    chosen = EnhanceOptions.from_flat({"preset": name})
    assert chosen.encode.preset is None
    for field, value in MATERIALS[name].items():
        assert getattr(chosen.restore, field) == value
    assert EnhanceOptions.from_json(chosen.to_json()) == chosen


def test_what_the_user_gives_wins_over_the_material() -> None:
    chosen = EnhanceOptions.from_flat({"preset": "vhs", "stabilize": 0.9, "restore": "crop"})
    assert (chosen.restore.stabilize, chosen.restore.restore) == (0.9, "crop")


def test_other_presets_go_to_the_encoder() -> None:
    assert EnhanceOptions.from_flat({"preset": "veryslow"}).encode.preset == "veryslow"


@pytest.mark.parametrize(
    ("field", "value"),
    [("restore", "polish"), ("restore", ","), ("fidelity", "2"), ("fidelity", "much"), ("grain", 1.5), ("fields", "x")],
)
def test_faults_name_their_flag(field: str, value: object) -> None:
    with pytest.raises(OptionsError, match=f"--{field} "):
        EnhanceOptions.from_flat({field: value})


def test_filters_act_in_their_own_order() -> None:
    assert RestoreOptions(restore="denoise, crop,deinterlace").named() == (
        ("deinterlace", ""),
        ("crop", ""),
        ("denoise", ""),
    )
    used = [RestoreOptions(restore=m["restore"]).named() for m in MATERIALS.values()]
    assert set(FILTERS) >= {name for named in used for name, _ in named}

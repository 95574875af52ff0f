"""The restoration options and the materials that stand for sets of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.places import ROOT
from vidsr.errors import OptionsError
from vidsr.filters.before.crop import CropWindow
from vidsr.filters.before.descriptor import descriptors
from vidsr.filters.before.film_times import FilmRate
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.filter_choices import FILTERS, FilterChoice, FilterSelection
from vidsr.options.rate_choice import Rate
from vidsr.options.restore_options import MATERIALS, RestoreOptions

SHARES = st.floats(0, 1, exclude_min=True)
ORDERS = st.sampled_from(["tff", "bff"])
PARAMETERS = {
    "film": st.builds(FilmRate, st.fractions(1, 60, max_denominator=1001)),
    "ivtc": ORDERS,
    "deinterlace": ORDERS,
    "crop": st.builds(CropWindow, *[st.integers(0, 9999)] * 4),
    "deblock": SHARES,
    "denoise": SHARES,
    "dust": st.floats(0.001, 255),
}
CHOICES = st.sampled_from(list(FILTERS)).flatmap(
    lambda name: st.builds(FilterChoice, st.just(name), st.none() | PARAMETERS.get(name, st.none()))
)
SELECTIONS = st.just(FilterSelection(auto=True)) | st.lists(CHOICES).map(FilterSelection.of)


@pytest.mark.parametrize("name", MATERIALS)
def test_every_material_is_a_valid_set_of_options(name: str) -> None:
    chosen = EnhanceOptions.from_flat({"preset": name})
    assert chosen.encode.preset is None
    assert {field: chosen.restore.to_json()[field] for field in MATERIALS[name]} == MATERIALS[name]
    assert EnhanceOptions.from_json(chosen.to_json()) == chosen


def test_what_the_user_gives_wins_over_the_material() -> None:
    chosen = EnhanceOptions.from_flat({"preset": "vhs", "stabilize": 0.9, "restore": "crop"})
    assert (chosen.restore.stabilize, str(chosen.restore.restore)) == (0.9, "crop")


def test_other_presets_go_to_the_encoder() -> None:
    assert EnhanceOptions.from_flat({"preset": "veryslow"}).encode.preset == "veryslow"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("restore", "polish"),
        ("restore", ","),
        ("restore", "off,crop"),
        ("restore", "crop=8:8"),
        ("restore", "deinterlace=up"),
        ("restore", "denoise=0"),
        ("restore", "dust=nan"),
        ("restore", "grey=1"),
        ("restore", 3),
        ("multiframe", "2"),
        ("multiframe", "some"),
        ("multiframe", -0.5),
        ("fidelity", "2"),
        ("fidelity", "much"),
        ("fidelity", 1.5),
        ("grain", 1.5),
        ("fields", "x"),
    ],
)
def test_faults_name_their_flag(field: str, value: object) -> None:
    with pytest.raises(OptionsError, match=f"--{field} "):
        EnhanceOptions.from_flat({field: value})


def test_every_fault_of_a_list_is_reported() -> None:
    with pytest.raises(OptionsError) as caught:
        EnhanceOptions.from_flat({"restore": "polish,denoise=7,crop", "grain": 2})
    assert [part.split(":")[0] for part in str(caught.value).split("; ") if part.startswith("--")] == [
        "--restore polish",
        "--restore denoise=7",
        "--grain 2",
    ]


def test_filters_act_in_their_own_order() -> None:
    chosen = FilterSelection.parse("denoise=.5, crop=8:0:704:576,deinterlace")
    assert chosen.choices == (
        FilterChoice("deinterlace"),
        FilterChoice("crop", CropWindow(8, 0, 704, 576)),
        FilterChoice("denoise", 0.5),
    )
    assert [d.name for d in descriptors()] == list(FILTERS)


@given(SELECTIONS)
def test_a_selection_is_written_as_it_is_read(chosen: FilterSelection) -> None:
    assert FilterSelection.parse(str(chosen)) == chosen
    options = EnhanceOptions(restore=RestoreOptions(restore=chosen))
    assert EnhanceOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


@given(SELECTIONS, st.sampled_from(["same", "double"]), st.sampled_from([None, "2x", "24000/1001"]))
def test_what_reshapes_can_be_read_back(chosen: FilterSelection, fields: str, rate: str | None) -> None:
    wanted = None if rate is None else Rate.parse(rate)
    text = RestoreOptions(restore=chosen, fields=fields, rate=wanted).reshaping()
    again = RestoreOptions.reshaped(text)
    assert again.reshaping() == text and again.rate == wanted
    doubling = ("deinterlace", "deinterlace-quick") if fields == "double" else ()
    changing = {"film", "ivtc", "dedupe", "refill", "crop", *doubling}
    assert [c.name for c in again.restore.choices] == [c.name for c in chosen.choices if c.name in changing]


def test_strings_of_earlier_manifests_are_read() -> None:
    data = {"restore": {"restore": "denoise, crop=8:0:704:576", "fidelity": "1", "fields": "double"}}
    chosen = EnhanceOptions.from_json(data).restore
    assert str(chosen.restore) == "crop=8:0:704:576,denoise" and chosen.fidelity == 1.0
    assert chosen.to_json()["fidelity"] == "1"


def test_the_guide_describes_every_filter() -> None:
    guide = (ROOT / "docs" / "restoration.md").read_text()
    rows = [line for line in guide.splitlines() if line.startswith("| `")]
    for d in descriptors():
        assert [row for row in rows if row.startswith(f"| `{d.name}`") and d.help in row], d.name


@pytest.mark.parametrize(("text", "share"), [("auto", None), ("off", 0.0), ("0", 0.0), ("0.5", 0.5), ("1", 1.0)])
def test_the_share_of_neighbouring_frames_is_read_and_written(text: str, share: float | None) -> None:
    chosen = RestoreOptions.from_flat({"multiframe": text})
    assert chosen.multiframe == share
    assert RestoreOptions.from_json(chosen.to_json()) == chosen

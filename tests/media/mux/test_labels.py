"""Languages, titles, roles and tags: what each container keeps is known before the work, and said."""

from __future__ import annotations

import pytest

from tests.support import oracle
from tests.support.clips import ClipFactory
from tests.support.hazards.catalogue import by_name
from vidsr.media.mux.containers import CONTAINERS
from vidsr.media.mux.labels import Label, canonical, kept_label, kept_tags, spellings
from vidsr.media.probe import probe
from vidsr.media.source import ShapedInfo


def test_one_language_has_one_canonical_code() -> None:
    for text in ("de", "deu", "ger", "DE", "de-AT", "deu-AT"):
        assert canonical(text) == "deu"
    assert canonical("Deutsch") == "deutsch"
    assert canonical("qaa") == "qaa"
    assert spellings("de") == ("de", "deu", "ger")
    assert spellings("eng") == ("eng",)
    assert spellings("pt-BR") == ("pt-BR", "por")


@pytest.mark.parametrize(
    ("suffix", "language", "written"),
    [
        (".mkv", "pt-BR", "pt-BR"),
        (".mp4", "pt-BR", "por"),
        (".mp4", "deu", "deu"),
        (".mp4", "en", "eng"),
        (".mov", "deu", "ger"),
        (".mov", "fre", "fra"),
        (".mp4", "Deutsch", None),
        (".mov", "qaa", None),
    ],
)
def test_a_language_is_written_as_the_container_knows_it(suffix: str, language: str, written: str | None) -> None:
    assert kept_label(CONTAINERS[suffix], Label(language=language)).language == written


def test_roles_and_titles() -> None:
    both = Label(title="Kommentar", roles=0x8 | 0x4)
    assert kept_label(CONTAINERS[".mkv"], both) == both
    assert kept_label(CONTAINERS[".mp4"], both).roles == 0x8
    assert kept_label(CONTAINERS[".mov"], both).roles == 0
    assert kept_label(CONTAINERS[".mov"], both).title == "Kommentar"


def test_tags() -> None:
    tags = {"title": "A", "custom": "B", "GPS Location": "C", "com.apple.quicktime.make": "D"}
    assert set(kept_tags(CONTAINERS[".mkv"], tags, {})) == set(tags)
    assert set(kept_tags(CONTAINERS[".mp4"], tags, {})) == {"title"}
    assert set(kept_tags(CONTAINERS[".mp4"], tags, {"movflags": "use_metadata_tags"})) == set(tags)


def test_what_mov_has_no_place_for_is_said_before_the_work(clips: ClipFactory) -> None:
    from vidsr.media.check.preflight import preflight
    from vidsr.media.encode.encoder_plan import prepare
    from vidsr.options.enhance_options import EnhanceOptions

    info = ShapedInfo(probe(by_name("roles").make(clips)))
    settled = prepare(info, EnhanceOptions(), 1)
    notes = preflight(info, settled.settings, clips.folder / "out.mov", EnhanceOptions())
    assert any("the role of audio stream 1 (hearing impaired)" in note for note in notes)


def test_ffprobe_reads_the_languages_that_were_written(clips: ClipFactory) -> None:
    found = [s["tags"]["language"] for s in oracle.streams(by_name("languages").make(clips)) if "language" in s["tags"]]
    assert found == ["pt-BR", "en"]

"""Options as a command line: the command gives the same options back."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from vidsr.cli.enhance import app
from vidsr.jobs.option_command import changes, command_line
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.schema import groups_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "model": TEXTS,
    "codec": st.sampled_from(["auto", "h264", "ffv1"]),
    "crf": st.floats(0, 63),
    "audio": st.booleans(),
    "restart": st.booleans(),
    "ship": st.none() | st.booleans(),
    "map": st.lists(st.sampled_from(["0", "audio", "subtitle"])).map(tuple),
    "encoder_options": st.lists(st.sampled_from(["tune=film", "a=-1", "x265-params=a=b:c=d"])).map(tuple),
    "restore": st.sampled_from(["off", "auto", "deinterlace,crop", "crop=8:0:704:576,deinterlace=tff"]),
    "fidelity": st.sampled_from(["auto", 0.25, "0.5"]),
    "scale": st.none() | st.floats(1, 8),
    "engine": st.just("ray"),
}

#: Built once: it reads the declarations of all commands.
COMMAND = get_command(app)


@given(st.fixed_dictionaries({}, optional=VALUES), TEXTS.filter(lambda t: not t.startswith("-")))
def test_the_command_gives_the_same_options(values: dict[str, Any], source: str) -> None:
    options = EnhanceOptions.from_flat({"engine": "ray"} | values)
    words = shlex.split(command_line(source, "out.mkv", options))
    assert words[:3] == ["vidsr", "enhance", source]
    context = COMMAND.make_context("enhance", words[2:])
    assert str(context.params["output"]) == "out.mkv"
    names = {f.name for _, kind in groups_of(EnhanceOptions) for f in fields(kind)}
    read = {name: value for name, value in context.params.items() if name in names}
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}
    assert EnhanceOptions.from_flat(plain) == options


def plain(**flat: Any) -> dict[str, Any]:
    """Options as a manifest keeps them."""
    options = EnhanceOptions.from_flat(flat).to_json()
    return {f"{group}.{name}": value for group, values in options.items() for name, value in values.items()}


def test_changes_are_named_as_one_types_them() -> None:
    old = plain(start="1:30", restore="grey", multiframe=0.5, map=("0", "audio"), audio=True, overwrite=True)
    new = plain(crf=18.0, exact_sound=True, audio=False, codec="av1", frames="5:9")
    assert list(changes(old, new)) == [
        "--codec (was auto, is av1)",
        "--crf (was not given, is 18)",
        "--no-overwrite (was --overwrite)",
        "--multiframe (was 0.5, is auto)",
        "--restore (was grey, is off)",
        "--exact-sound (was --whole-packets)",
        "--frames (was not given, is 5:9)",
        "--from (was 1:30, is not given)",
        "--no-audio (was --audio)",
        "--map (was 0 audio, is not given)",
    ]
    assert list(changes({"gone.old_name": 1}, {})) == ["--old-name (was 1, is not given)"]


def test_paths_that_look_like_options_are_still_paths() -> None:
    assert command_line("-a b.mkv", None, EnhanceOptions()) == "vidsr enhance './-a b.mkv'"

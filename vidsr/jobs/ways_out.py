"""A command that works, in place of a dead end, where codec or container cannot hold what the source has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from vidsr.codec_table import AUTO_CODEC
from vidsr.errors import NoPlaceError, VidsrError
from vidsr.jobs.option_command import command_line
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.media.check.preflight import preflight
from vidsr.media.mux.containers import CONTAINERS
from vidsr.options.enhance_options import EnhanceOptions

#: Containers to propose, the one that holds most first.
_PROPOSED = (".mkv", ".mov", ".mp4", ".webm")


def with_way_out(error: NoPlaceError, source: Path, output: Path, options: EnhanceOptions) -> NoPlaceError:
    """``error``, followed by a command that keeps everything; unchanged where none is found.

    The command has passed the same checks as a job: it fails for none of the reasons that can be known beforehand.
    """
    for path, asked in _candidates(output, options):
        try:
            recipe = Recipe.of(source, asked, container=path.suffix.lower())
            preflight(recipe.shaped, recipe.settings, path, recipe.options)
        except VidsrError:
            continue
        return NoPlaceError(f"{error}. This command works: {command_line(source, path, asked)}")
    return error


def _candidates(output: Path, options: EnhanceOptions) -> Iterator[tuple[Path, EnhanceOptions]]:
    """Other outputs and codecs, those that change least first."""
    open_codec = dataclasses.replace(options, encode=dataclasses.replace(options.encode, codec=AUTO_CODEC))
    own = output.suffix.lower()
    if own in CONTAINERS and options.encode.codec != AUTO_CODEC:
        yield output, open_codec
    for suffix in _PROPOSED:
        if suffix != own:
            path = _free(output.with_suffix(suffix), overwrite=options.output.overwrite)
            yield path, options
            yield path, open_codec


def _free(path: Path, *, overwrite: bool) -> Path:
    """A path near this one at which no file is."""
    tried, number = path, 2
    while tried.exists() and not overwrite:
        tried, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return tried

"""Whether the preservation master of a job can be written, and what it cannot keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vidsr.jobs.disk_space import check_output
from vidsr.jobs.invention.master_name import master_of
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.manifest import Manifest
from vidsr.media.check.preflight import preflight


def check_master(recipe: Recipe, output: Path, *, new_folder: bool) -> Iterator[str]:
    """Refuse a master that cannot or must not be written; yields what it cannot keep. Without a master, nothing.

    Args:
        recipe: the access copy's.
        output: the access copy.
        new_folder: the folder may be missing: it will be made.

    Raises:
        OutputError: as for :func:`vidsr.jobs.disk_space.check_output`.
        NoPlaceError: Matroska cannot hold a stream.
    """
    if recipe.master is None:
        return
    master = master_of(output)
    overwrite = recipe.options.output.overwrite or Manifest.is_publishing(job_folders.job_folder(output))
    check_output(Path(recipe.stored.path), master, overwrite=overwrite, new_folder=new_folder)
    for note in preflight(recipe.shaped, recipe.master.settings, master, recipe.master.options):
        yield f"{master.name}: {note}"

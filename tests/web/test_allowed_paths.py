"""Paths to write to: inside the served folders, and never through a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidsr.errors import InputError, OutputError
from vidsr.web.allowed_paths import folder_inside, output_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A served folder with a file, a folder, and links to both and to the outside."""
    root = (tmp_path / "served").resolve()
    (root / "films").mkdir(parents=True)
    (root / "clip.mkv").touch()
    (root / "to-clip.mkv").symlink_to(root / "clip.mkv")
    (root / "to-nothing.mkv").symlink_to(root / "new.mkv")
    (root / "to-films").symlink_to(root / "films")
    (root / "outside").symlink_to(tmp_path)
    return root


def test_files_and_folders_to_write(root: Path) -> None:
    assert output_inside("films/new.mkv", (root,)) == root / "films" / "new.mkv"
    assert output_inside("clip.mkv", (root,)) == root / "clip.mkv"
    assert folder_inside("new", (root,)) == root / "new"
    assert folder_inside("films", (root,)) == root / "films"


@pytest.mark.parametrize("name", ["to-clip.mkv", "to-nothing.mkv", "films", "absent/new.mkv"])
def test_a_file_is_not_written_through_a_link_or_over_a_folder(root: Path, name: str) -> None:
    with pytest.raises(OutputError):
        output_inside(name, (root,))


@pytest.mark.parametrize("name", ["to-films", "clip.mkv", "absent/new"])
def test_a_folder_is_not_written_through_a_link_or_over_a_file(root: Path, name: str) -> None:
    with pytest.raises(OutputError):
        folder_inside(name, (root,))


@pytest.mark.parametrize("name", ["outside/new.mkv", "../new.mkv", "/new.mkv"])
def test_nothing_is_written_outside(root: Path, name: str) -> None:
    for check in (output_inside, folder_inside):
        with pytest.raises(InputError):
            check(name, (root,))

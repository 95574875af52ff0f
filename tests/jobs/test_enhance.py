"""`enhance` on pictures and folders, as the command line and the API see it, with a shipped network."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.support.command_line import vidsr
from vidsr.errors import InputError, OutputError
from vidsr.jobs.enhance import _uncollected, enhance, kind_of
from vidsr.jobs.state.result import EnhanceResult

SMALL: dict[str, Any] = {"model": "realesr-animevideov3", "device": "cpu"}
RNG = np.random.default_rng(9)


def picture(path: Path, size: tuple[int, int] = (16, 12)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)).save(path)
    return path


def test_kinds(tmp_path: Path) -> None:
    assert kind_of(Path("a.mp4"), None) == "video"
    assert kind_of(Path("a.png"), None) == "picture"
    assert kind_of(Path("a.gif"), None) == "picture"
    assert kind_of(Path("a.gif"), Path("a.mp4")) == "video"
    assert kind_of(tmp_path, None) == "folder"
    assert kind_of(Path("%04d.png"), Path("a.mkv")) == "video"
    assert kind_of(Path("%04d.png"), None) == "numbered"
    assert kind_of(Path("a.mkv"), Path("%04d.png")) == "numbered"


def test_command_line_on_a_picture(tmp_path: Path) -> None:
    source = picture(tmp_path / "photo.jpg")
    done = vidsr("enhance", source, "--model", SMALL["model"], "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["output"] == str(tmp_path / "photo.x4.jpg")
    assert told["size"] == [64, 48]
    again = vidsr("enhance", source, "--model", SMALL["model"], "--device", "cpu")
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1 and "already exists" in again.stderr


def test_command_line_on_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "game.textures"
    picture(root / "a.png")
    picture(root / "walls" / "b.tga")
    (root / "broken.png").write_bytes(b"no picture")
    done = vidsr("enhance", root, "--model", SMALL["model"], "--device", "cpu", "--scale", 2, "--tileable")
    assert done.returncode == 1, done.stderr
    out = tmp_path / "game.textures.x2"
    assert done.stdout.strip() == str(out)
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.[pt][ng][ga]")) == ["a.png", "walls/b.tga"]
    assert "refused broken.png: not a picture of a known format" in done.stderr
    assert "3 files: 2 done, 1 refused" in done.stderr


def test_api_and_errors(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    (tmp_path / "folder").mkdir()
    result = enhance(source, tmp_path / "folder", **SMALL)
    assert isinstance(result, EnhanceResult)
    assert (result.kind, result.output) == ("picture", tmp_path / "folder" / "a.png")
    assert (result.frames, result.size, result.device) == (1, (64, 48), "cpu")
    with pytest.raises(InputError, match="does not exist"):
        enhance(tmp_path / "absent.png", **SMALL)
    with pytest.raises(OutputError, match="is the source"):
        enhance(source, source, **SMALL)
    with pytest.raises(OutputError, match="is the source folder itself"):
        enhance(tmp_path, tmp_path, **SMALL)


def test_network_sees_the_wrapped_texture(tmp_path: Path) -> None:
    """The result of a tileable texture equals the middle of the enlarged 3×3 tiling, with the real network."""
    spectrum = np.fft.fft2(RNG.normal(size=(3, 40, 40)))
    keep = np.exp(-((np.fft.fftfreq(40)[:, None] ** 2 + np.fft.fftfreq(40)[None] ** 2) / 0.03))
    smooth = np.fft.ifft2(spectrum * keep).real
    pixels = np.moveaxis(255 * (smooth - smooth.min()) / np.ptp(smooth), 0, 2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "t.png")
    Image.fromarray(np.tile(pixels, (3, 3, 1))).save(tmp_path / "t9.png")
    enhance(tmp_path / "t.png", tmp_path / "out.png", tileable=True, **SMALL)
    enhance(tmp_path / "t9.png", tmp_path / "out9.png", **SMALL)
    one = np.asarray(Image.open(tmp_path / "out.png")).astype(float)
    middle = np.asarray(Image.open(tmp_path / "out9.png"))[160:320, 160:320].astype(float)
    assert np.abs(one - middle).max() <= 2
    centred = np.roll(one, (80, 80), (0, 1))
    bend = np.abs(np.diff(centred, 2, axis=1)).mean(axis=(0, 2))
    assert bend[77:81].mean() <= 1.3 * bend.mean()


def test_blocks_of_a_large_tiff_meet_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidsr.jobs.stills import picture as stills

    y, x = np.mgrid[0:96, 0:128]
    pixels = (128 + 60 * np.sin(x / 3) * np.cos(y / 4) + 40 * ((x // 9 + y // 7) % 2)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", np.dstack([pixels, pixels.T.reshape(96, 128), pixels]), photometric="rgb")
    enhance(tmp_path / "in.tif", tmp_path / "whole.tif", **SMALL)
    monkeypatch.setattr(stills, "WHOLE_PX", 100)
    monkeypatch.setattr(stills, "_BLOCK_ROWS", 32)
    monkeypatch.setattr(stills, "_BLOCK_COLUMNS", 64)
    enhance(tmp_path / "in.tif", tmp_path / "blocks.tif", **SMALL)
    difference = np.abs(tifffile.imread(tmp_path / "whole.tif").astype(int) - tifffile.imread(tmp_path / "blocks.tif"))
    assert difference.max() <= 2


def test_what_is_imported_counts_as_old_at_once() -> None:
    """The collector would look through all of PyTorch's objects three times otherwise."""
    assert gc.isenabled() and gc.get_freeze_count() == 0
    with _uncollected():
        assert not gc.isenabled()
        made = [[n] for n in range(1000)]
    assert gc.isenabled() and gc.get_freeze_count() == 0
    old = {id(thing) for thing in gc.get_objects(generation=2)}
    assert all(id(thing) in old for thing in made)

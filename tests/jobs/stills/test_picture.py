"""Still pictures and folders of them, through a plain resampler in the network's place (it has its own tests)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from vidsr.errors import InputError, JobError, OptionsError, OutputError
from vidsr.filters import textures
from vidsr.jobs.stills import folder as folders
from vidsr.jobs.stills import picture as jobs
from vidsr.jobs.stills.picture import enhance_picture
from vidsr.options.enhance_options import EnhanceOptions

RNG = np.random.default_rng(3)


class Lanczos:
    """A resampler that overshoots at edges, as networks do; sees 3 source pixels around each."""

    scale = 4

    def __init__(self) -> None:
        self.calls = 0
        self.largest = 0

    def picture(self, picture: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        self.calls += 1
        self.largest = max(self.largest, picture.shape[0] * picture.shape[1])
        assert picture.dtype == np.float32
        size = size or (picture.shape[1] * 4, picture.shape[0] * 4)
        planes = [picture] if picture.ndim == 2 else list(np.moveaxis(picture, 2, 0))
        grown = [np.asarray(Image.fromarray(p.copy()).resize(size, Image.Resampling.LANCZOS)) for p in planes]
        return grown[0] if picture.ndim == 2 else np.dstack(grown)


def options(**values: object) -> EnhanceOptions:
    return EnhanceOptions.from_flat(values)


def plain(**values: object) -> EnhanceOptions:
    """Nothing but the network."""
    return options(fidelity="0", colour_lock=False, **values)


def noise_texture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Smooth noise that repeats seamlessly."""
    spectrum = np.fft.fft2(RNG.normal(size=(channels, height, width)))
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    smooth = np.fft.ifft2(spectrum * np.exp(-((fy**2 + fx**2) / 0.02))).real
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.moveaxis((smooth * 255).round().astype(np.uint8), 0, 2)


def seam_and_inside(pixels: np.ndarray) -> tuple[float, float]:
    """Mean second difference across the wrapped edges, and everywhere else."""
    centred = np.roll(pixels.astype(float), (pixels.shape[0] // 2, pixels.shape[1] // 2), (0, 1))
    bend = np.abs(np.diff(centred, 2, axis=1)).mean(axis=(0, 2))
    middle = pixels.shape[1] // 2
    at_seam = bend[middle - 2 : middle].mean()
    return at_seam, np.delete(bend, [middle - 2, middle - 1]).mean()


@pytest.mark.parametrize(
    ("width", "height", "size"), [(48, 32, {}), (30, 50, {"scale": 2.5}), (31, 17, {"height": 40})]
)
def test_tileable_result_has_no_seam(tmp_path: Path, width: int, height: int, size: dict[str, float]) -> None:
    pixels = noise_texture(height, width)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    enhance_picture(tmp_path / "in.png", tmp_path / "out.png", plain(tileable=True, **size), Lanczos())
    result = np.asarray(Image.open(tmp_path / "out.png"))
    seam, inside = seam_and_inside(result)
    assert seam <= 1.3 * inside
    tiled = np.tile(pixels, (3, 3, 1)).astype(np.float32) / 255
    h, w = result.shape[:2]
    wanted = Lanczos().picture(tiled, (3 * w, 3 * h))[h : 2 * h, w : 2 * w]
    assert np.abs(result - (wanted.clip(0, 1) * 255)).max() <= 1.01


def test_without_tileable_the_same_texture_has_a_seam(tmp_path: Path) -> None:
    pixels = noise_texture(32, 48)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    for name, tileable in (("a", True), ("b", False)):
        enhance_picture(tmp_path / "in.png", tmp_path / f"{name}.png", options(tileable=tileable), Lanczos())
    with_wrap, without = (seam_and_inside(np.asarray(Image.open(tmp_path / f"{n}.png")))[0] for n in "ab")
    assert without > 1.5 * with_wrap


@pytest.mark.parametrize("hidden", [0, 255])
def test_alpha_shows_no_fringe(tmp_path: Path, hidden: int) -> None:
    y, x = np.mgrid[0:64, 0:64]
    disc = (x - 32) ** 2 + (y - 32) ** 2 < 22**2
    card = np.full((64, 64, 4), hidden, np.uint8)
    card[disc] = (200, 90, 40, 255)
    card[~disc, 3] = 0
    Image.fromarray(card).save(tmp_path / "in.png")
    enhance_picture(tmp_path / "in.png", tmp_path / "fill.png", options(), Lanczos())
    enhance_picture(tmp_path / "in.png", tmp_path / "keep.png", options(under_alpha="keep"), Lanczos())
    filled, kept = (np.asarray(Image.open(tmp_path / f"{n}.png")).astype(int) for n in ("fill", "keep"))
    visible = filled[..., 3] > 0
    assert np.abs(filled[visible][:, :3] - (200, 90, 40)).max() <= 1
    assert np.abs(kept[visible][:, :3] - (200, 90, 40)).max() > 40  # what would be seen without the fill
    assert set(np.unique(filled[..., 3][:40])) == {0}
    assert filled[128, 128, 3] == 255
    assert 0 < (filled[..., 3] > 127).mean() - disc.mean() + 0.01 < 0.02


def test_fill_reaches_everywhere_and_leaves_visible_pixels() -> None:
    colour = np.zeros((37, 53, 3), np.float32)
    alpha = np.zeros((37, 53), np.float32)
    colour[5, 7], alpha[5, 7] = (0.2, 0.4, 0.6), 1
    colour[30, 50], alpha[30, 50] = (0.9, 0.1, 0.3), 1
    filled = textures.fill_under_transparency(colour, alpha)
    assert np.array_equal(filled[5, 7], colour[5, 7])
    assert np.allclose(filled[4, 6], colour[5, 7], atol=0.02)
    assert np.allclose(filled[33, 51], colour[30, 50], atol=0.2)
    assert filled[..., 0].min() >= 0.199
    empty = np.zeros((4, 4), np.float32)
    assert textures.fill_under_transparency(colour[:4, :4], empty) is not None


def test_normal_map_vectors_have_length_one(tmp_path: Path) -> None:
    angles = noise_texture(24, 24, 2).astype(float) / 255 - 0.5
    normals = np.dstack([angles[..., 0], angles[..., 1], np.sqrt(1 - (angles**2).sum(axis=2))])
    Image.fromarray(np.rint((normals * 0.5 + 0.5) * 255).astype(np.uint8)).save(tmp_path / "in.png")
    enhance_picture(tmp_path / "in.png", tmp_path / "out.png", options(normal_map=True, tileable=True), Lanczos())
    vectors = np.asarray(Image.open(tmp_path / "out.png")) / 255 * 2 - 1
    assert np.abs(np.linalg.norm(vectors, axis=2) - 1).max() < 0.012
    two = np.dstack([normals[..., :2] * 0.5 + 0.5, np.zeros((24, 24))]).astype(np.float32)
    assert np.abs(textures.complete_normals(two)[..., 2] - (normals[..., 2] * 0.5 + 0.5)).max() < 1e-6


def test_power_of_two_sizes(tmp_path: Path) -> None:
    Image.fromarray(noise_texture(50, 100)).save(tmp_path / "in.png")
    result = enhance_picture(tmp_path / "in.png", tmp_path / "out.png", options(power_of_two=True), Lanczos())
    assert result.size == (512, 256)  # 400×200 by the scale alone
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (512, 256)


def test_sixteen_bit_colour_keeps_its_depth(tmp_path: Path) -> None:
    ramp = np.linspace(20000, 24000, 64 * 64).reshape(64, 64).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", np.dstack([ramp, ramp.T, ramp]), photometric="rgb")
    for suffix in (".tif", ".png"):
        enhance_picture(tmp_path / "in.tif", tmp_path / f"out{suffix}", options(), Lanczos())
        from vidsr.media.pictures.files import read_picture

        back = read_picture(tmp_path / f"out{suffix}")
        pixels = back.pixels[0:256, 0:256]
        back.close()
        assert pixels.dtype == np.uint16
        assert len(np.unique(pixels)) > 3000
        assert pixels.min() > 19900 and pixels.max() < 24100


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_scientific_grey_keeps_range_and_missing_values(tmp_path: Path, dtype: str) -> None:
    values = (1000 + noise_texture(40, 40, 1)[..., 0] * (800 / 255)).astype(dtype)
    values[10:20, 10:20] = -9999 if dtype != "uint16" else 0
    if dtype == "float32":
        values[30, 30] = np.nan
    nodata = "0" if dtype == "uint16" else "-9999"
    tifffile.imwrite(tmp_path / "in.tif", values, extratags=[(42113, 2, 0, nodata, True)], metadata=None)
    enhance_picture(tmp_path / "in.tif", tmp_path / "out.tif", options(), Lanczos())
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages.first.tags[42113].value.strip("\0") == nodata
        result = file.asarray()
    assert result.dtype == dtype
    hole = result[40:80, 40:80]
    assert (hole == float(nodata)).all()
    known = result.astype(float)
    known[known == float(nodata)] = np.nan
    known[40:80, 40:80] = np.nan
    assert np.nanmin(known) >= 1000 and np.nanmax(known) <= 1800
    assert np.nanmax(known) - np.nanmin(known) > 600


def test_blocks_equal_the_whole_and_bound_what_the_network_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = RNG.integers(0, 256, (150, 220, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="rgb", compression="zlib", rowsperstrip=16)
    whole, blocks = Lanczos(), Lanczos()
    enhance_picture(tmp_path / "in.tif", tmp_path / "whole.tif", options(), whole)
    monkeypatch.setattr(jobs, "WHOLE_PX", 1000)
    monkeypatch.setattr(jobs, "_BLOCK_ROWS", 40)
    monkeypatch.setattr(jobs, "_BLOCK_COLUMNS", 64)
    enhance_picture(tmp_path / "in.tif", tmp_path / "blocks.tif", options(), blocks)
    assert whole.calls == 1 and blocks.calls == 4 * 4
    assert blocks.largest <= (40 + 64) * (64 + 64)
    assert np.array_equal(tifffile.imread(tmp_path / "whole.tif"), tifffile.imread(tmp_path / "blocks.tif"))
    enhance_picture(tmp_path / "in.tif", tmp_path / "half.tif", options(scale=1.5), blocks)
    assert tifffile.imread(tmp_path / "half.tif").shape == (225, 330, 3)
    monkeypatch.setattr(jobs, "_MISALIGNED_PX", 1000)
    with pytest.raises(OptionsError, match=r"cannot be cut evenly .* --scale 1"):
        enhance_picture(tmp_path / "in.tif", tmp_path / "odd.tif", options(size="331x227"), blocks)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animations_keep_their_timing(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.roll(noise_texture(20, 30), 5 * i, 1)) for i in range(5)]
    durations = [40, 200, 70, 1000, 120]
    frames[0].save(tmp_path / f"in{suffix}", save_all=True, append_images=frames[1:], duration=durations, loop=3)
    result = enhance_picture(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", options(), Lanczos())
    assert result.size == (120, 80)
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.size == (120, 80)
        assert image.info.get("loop") == 3
        seen = []
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            image.load()
            seen.append(image.info["duration"])
    assert seen == durations
    small = enhance_picture(tmp_path / f"in{suffix}", tmp_path / "still.jpg", options(), Lanczos())
    assert small.notes == ("only the first of its 5 pictures",)


def test_transparent_gif_stays_transparent(tmp_path: Path) -> None:
    frames = []
    for i in range(3):
        card = np.zeros((24, 24, 4), np.uint8)
        card[4 : 16 + i, 4:16] = (220, 40, 40, 255)
        frames.append(Image.fromarray(card))
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=80, disposal=2)
    enhance_picture(tmp_path / "in.gif", tmp_path / "out.gif", options(), Lanczos())
    with Image.open(tmp_path / "out.gif") as image:
        for i in range(3):
            image.seek(i)
            shown = np.asarray(image.convert("RGBA"))
            assert shown[2, 2, 3] == 0 and shown[90, 90, 3] == 0
            assert shown[40, 40].tolist() == [220, 40, 40, 255]
            assert (shown[66 + 4 * (i - 1), 40, 3] == 255) == (i > 0) or i == 0


def test_outputs_that_must_not_be(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(noise_texture(8, 8)).save(source)
    before = source.read_bytes()
    with pytest.raises(OutputError, match="is the source file"):
        enhance_picture(source, source, options(overwrite=True), Lanczos())
    (tmp_path / "there.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="already exists; use --overwrite"):
        enhance_picture(source, tmp_path / "there.png", options(), Lanczos())
    with pytest.raises(OutputError, match="does not exist; make it first"):
        enhance_picture(source, tmp_path / "no" / "out.png", options(), Lanczos())
    assert source.read_bytes() == before and (tmp_path / "there.png").read_bytes() == b"mine"


def mixed_folder(root: Path, good: int, broken: int) -> None:
    """Pictures of all formats and modes in folders of folders, some of them broken in different ways."""
    suffixes = [".png", ".jpg", ".webp", ".tif", ".bmp", ".tga", ".dds", ".avif", ".gif", ".ppm"]
    for i in range(good + broken):
        suffix = suffixes[i % len(suffixes)]
        path = root / ["", "walls", "walls/brick", "ünïcode names"][i % 4] / f"texture {i:03}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(RNG.integers(0, 256, (9, 13, 3)).astype(np.uint8))
        mode = ["RGB", "L", "RGBA"][i % 3]
        image.convert("RGB" if suffix in (".jpg", ".ppm", ".dds", ".gif") else mode).save(path)
        if i >= good:
            data = path.read_bytes()
            path.write_bytes([b"", b"no picture at all", data[: len(data) // 4]][i % 3])


def test_folder_of_200_with_20_broken(tmp_path: Path) -> None:
    root, out = tmp_path / "game", tmp_path / "game.x4"
    mixed_folder(root, 180, 20)
    result = folders.enhance_folder(root, out, options(), Lanczos)
    assert len(result.done) == 180
    assert len(result.skipped) == 20
    assert all(reason and "\n" not in reason for _, reason in result.skipped)
    made = {p.relative_to(out) for p in out.rglob("*") if p.is_file() and not p.name.startswith(".")}
    made.discard(Path("vidsr-report.json"))
    assert made == {r.source.relative_to(root) for r in result.done}
    for path in made:
        with Image.open(out / path) as image:
            assert image.size == (52, 36)
    report = json.loads((out / "vidsr-report.json").read_text())
    assert report["enhanced"] == 180 and len(report["skipped"]) == 20
    again = folders.enhance_folder(root, out, options(), Lanczos)
    assert again.resumed == 180 and not again.done and len(again.skipped) == 20


def test_folder_resumes_after_a_stop_and_redoes_what_changed(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    mixed_folder(root, 12, 0)

    class Dies(Lanczos):
        def picture(self, picture: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
            if self.calls == 6:
                raise KeyboardInterrupt
            return super().picture(picture, size)

    with pytest.raises(KeyboardInterrupt):
        folders.enhance_folder(root, out, options(), Dies)
    assert not list(out.rglob("*.part"))
    journal = out / folders.JOURNAL
    finished = len(journal.read_text().splitlines()) - 1
    journal.write_text(journal.read_text() + '{"source": "half a li')  # as a power cut would leave it
    result = folders.enhance_folder(root, out, options(), Lanczos)
    assert 0 < result.resumed == finished < 12
    assert result.resumed + len(result.done) == 12
    first = result.done[0]
    first.output.write_bytes(first.output.read_bytes()[:-5])  # a damaged result
    changed = result.done[1].source
    shutil.copy(result.done[1].output, changed)  # a changed source
    os.utime(changed, (1, 1))
    third = folders.enhance_folder(root, out, options(), Lanczos)
    assert {r.source for r in third.done} == {first.source, changed}
    with pytest.raises(JobError, match="scale: None → 2"):
        folders.enhance_folder(root, out, options(scale=2), Lanczos)
    assert len(folders.enhance_folder(root, out, options(scale=2, overwrite=True), Lanczos).done) == 12


def test_folder_goes_on_past_what_is_no_file(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    mixed_folder(root, 2, 0)
    (root / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(root / "waits forever.png")
    result = folders.enhance_folder(root, out, options(), Lanczos)
    assert len(result.done) == 2
    reasons = {str(path): reason for path, reason in result.skipped}
    assert "No such file" in reasons["gone.png"] and reasons["waits forever.png"] == "not a file"


def test_folder_names_reasons_and_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    Image.fromarray(noise_texture(8, 8)).save(root / "a.png")
    Image.fromarray(noise_texture(8, 8)).save(root / "a.jpg")
    (root / "readme.txt").write_text("hello")
    (root / ".hidden.png").write_text("hello")
    out = root / "results"
    out.mkdir()
    Image.fromarray(noise_texture(8, 8)).save(root / "b.png")
    (out / "b.png").write_bytes(b"mine")
    result = folders.enhance_folder(root, out, options(picture_format="png"), Lanczos)
    assert {(str(p), reason) for p, reason in result.skipped} == {
        ("b.png", f"{out / 'b.png'} already exists; use --overwrite to replace it, or choose another --output"),
        ("readme.txt", "not a picture, by its name"),
    }
    assert [str(r.output.relative_to(out)) for r in result.done] == ["a.jpg.png", "a.png.png"]
    assert (out / "b.png").read_bytes() == b"mine"
    with pytest.raises(InputError, match="no picture in this folder"):
        (tmp_path / "empty").mkdir()
        folders.enhance_folder(tmp_path / "empty", tmp_path / "x", options(), Lanczos)
    assert not (tmp_path / "x").exists()

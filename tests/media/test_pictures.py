"""Reading and writing still pictures: formats, depths, metadata, damage."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support import processes
from vidsr.errors import InputError, OutputError
from vidsr.media.encode import svt
from vidsr.media.pictures import png
from vidsr.media.pictures.files import open_image, read_picture, write_picture
from vidsr.media.pictures.metadata import exif_for_size, scaled_geotiff
from vidsr.media.pictures.tiff import SegmentedPixels
from vidsr.media.pictures.types import Picture, PictureMeta

RAW = ("ffmpeg", "-v", "error", "-f", "rawvideo")
RNG = np.random.default_rng(7)


def same_again(picture: Picture, output: Path) -> Picture:
    """Write a picture as it is under another name and read it back."""
    width, height = picture.size
    bands = (picture.pixels[y : y + 7, 0:width] for y in range(0, height, 7))
    write_picture(output, picture, bands, size=picture.size, quality=100)
    return read_picture(output)


def whole(picture: Picture) -> np.ndarray:
    return picture.pixels[0 : picture.size[1], 0 : picture.size[0]]


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (3 + c) + y * (5 - c)) % 256 for c in range(channels)]
    return np.dstack(planes).astype(np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_writer_is_read_back_equal_by_ffmpeg_and_by_us(tmp_path: Path, mode: str, dtype: type) -> None:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    pixels = RNG.integers(0, np.iinfo(dtype).max + 1, (37, 29, channels)).astype(dtype)
    pixels[10:20] = np.arange(29)[None, :, None] * 3  # smooth rows, so that every filter type is used
    picture = Picture(path=tmp_path, format="PNG", mode=mode, pixels=pixels, value_range=(0, np.iinfo(dtype).max))
    back = same_again(picture, tmp_path / "out.png")
    assert back.mode == mode
    assert whole(back).dtype == dtype
    assert np.array_equal(whole(back), pixels)
    kind = {"L": "gray", "LA": "ya", "RGB": "rgb", "RGBA": "rgba"}[mode]
    name = {1: {"L": "gray", "LA": "ya8", "RGB": "rgb24", "RGBA": "rgba"}[mode]}.get(np.dtype(dtype).itemsize)
    name = name or {"gray": "gray16le", "ya": "ya16le", "rgb": "rgb48le", "rgba": "rgba64le"}[kind]
    raw = processes.run(
        ["ffmpeg", "-v", "error", "-i", str(tmp_path / "out.png"), "-f", "rawvideo", "-pix_fmt", name, "-"],
        capture_output=True,
        check=True,
    ).stdout
    assert np.array_equal(np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(pixels.shape), pixels)


def test_png_writer_filters_and_refuses_a_wrong_number_of_rows() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)[..., None]
    file = io.BytesIO()
    png.write_png(file, [ramp], size=(64, 64), like=ramp, meta=PictureMeta())
    assert file.tell() < 400  # a ramp is all but free once filtered; 4,096 bytes if it is not
    with pytest.raises(ValueError, match="63 rows given for a PNG of 64"):
        png.write_png(io.BytesIO(), [ramp[:63]], size=(64, 64), like=ramp, meta=PictureMeta())


#: What Pillow itself cannot write, so that no source of the kind can be made here.
UNWRITABLE = {".jpg": ("RGBA", "LA", "P"), ".ppm": ("P", "LA"), ".dds": ("P", "1"), ".bmp": ("LA",)}
ROUND_TRIPS = [
    (mode, suffix)
    for mode in ("L", "RGB", "RGBA", "LA", "P", "1")
    for suffix in (".png", ".jpg", ".webp", ".tif", ".bmp", ".tga", ".dds", ".avif", ".ppm")
    if mode not in UNWRITABLE.get(suffix, ())
]


@pytest.mark.parametrize(("mode", "suffix"), ROUND_TRIPS)
def test_every_format_survives_a_round_trip(tmp_path: Path, suffix: str, mode: str) -> None:
    source = tmp_path / f"in{suffix}"
    best: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".avif": {"quality": 100}}
    Image.fromarray(smooth(24, 40, 3)).convert(mode).save(source, **best.get(suffix, {}))
    picture = read_picture(source)
    assert picture.size == (40, 24)
    back = same_again(picture, tmp_path / f"out{suffix}")
    lossy = 12 if suffix in (".jpg", ".avif") else 0
    mine, theirs = (np.asarray(Image.open(source.with_stem(n)).convert("RGBA")).astype(int) for n in ("in", "out"))
    assert np.abs(mine - theirs).max() <= lossy
    picture.close()
    back.close()


def photo(path: Path, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90°
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8769)[0xA002] = 40
    exif.get_ifd(0x8769)[0xA003] = 24
    exif.get_ifd(0x8769)[0x927C] = b"maker note \x00\x01"
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(smooth(24, 40, 3))
    image.save(path, exif=exif.tobytes(), icc_profile=icc, dpi=(300, 300), **options)
    return icc


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_exif_orientation_icc_and_dpi_are_read_back_equal(tmp_path: Path, suffix: str) -> None:
    source, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    icc = photo(source)
    picture = read_picture(source)
    same_again(picture, output).close()
    picture.close()
    with Image.open(source) as before, Image.open(output) as after:
        assert after.info["icc_profile"] == before.info["icc_profile"] == icc
        assert after.getexif()[0x0112] == 6
        assert dict(after.getexif().get_ifd(0x8769)) == dict(before.getexif().get_ifd(0x8769))
        if suffix in (".jpg", ".png", ".tif"):
            assert after.info["dpi"] == pytest.approx(before.info["dpi"])


def test_exif_sizes_follow_and_nothing_else_changes(tmp_path: Path) -> None:
    photo(tmp_path / "in.jpg")
    exif = read_picture(tmp_path / "in.jpg").meta.exif
    assert exif is not None
    new = exif_for_size(exif, 160, 96)
    assert new is not None and len(new) == len(exif)
    assert 2 <= sum(a != b for a, b in zip(exif, new, strict=True)) <= 4
    parsed = Image.Exif()
    parsed.load(new)
    assert (parsed.get_ifd(0x8769)[0xA002], parsed.get_ifd(0x8769)[0xA003]) == (160, 96)
    assert parsed[0x0112] == 6
    assert exif_for_size(b"Exif\0\0II*\0\xff\xff\xff\xff", 1, 1) == b"Exif\0\0II*\0\xff\xff\xff\xff"


def test_png_texts_and_xmp_survive(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Title", "A gable — häuslich")
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    Image.fromarray(smooth(8, 8, 3)).save(tmp_path / "in.png", pnginfo=info)
    same_again(read_picture(tmp_path / "in.png"), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as after:
        after.load()
        assert after.info["Title"] == "A gable — häuslich"
        assert after.info["xmp"] == b"<x:xmpmeta/>"


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "uint32"])
@pytest.mark.parametrize("layout", [{"tile": (32, 48)}, {"rowsperstrip": 5}])
def test_tiff_of_every_depth_and_layout_is_read_by_parts(
    tmp_path: Path, compression: str | None, dtype: str, layout: dict[str, Any]
) -> None:
    pixels = (RNG.random((70, 90)) * 4000 - (500 if dtype in ("int16", "float32") else 0)).astype(dtype)
    source = tmp_path / "in.tif"
    tifffile.imwrite(source, pixels, compression=compression, **layout)
    picture = read_picture(source)
    assert picture.mode == "L"
    assert np.array_equal(picture.pixels[13:41, 30:77][..., 0], pixels[13:41, 30:77])
    if dtype != "uint8":
        assert picture.value_range == (pixels.min(), pixels.max())
    back = same_again(picture, tmp_path / "out.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), pixels)
    back.close()
    picture.close()


def test_planar_and_sixteen_bit_colour_tiff(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 65536, (3, 40, 50)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="rgb", planarconfig="separate")
    picture = read_picture(tmp_path / "in.tif")
    assert np.array_equal(whole(picture), pixels.transpose(1, 2, 0))
    same_again(picture, tmp_path / "out.tif").close()
    picture.close()
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), pixels.transpose(1, 2, 0))


def test_lzw_tiff_is_read_by_parts(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    processes.run(
        [*RAW, "-pix_fmt", "rgb48le", "-s", "30x20", "-i", "-", "-compression_algo", "lzw", tmp_path / "deep.tif"],
        input=deep.tobytes(),
        check=True,
    )
    picture = read_picture(tmp_path / "deep.tif")
    assert isinstance(picture.pixels, SegmentedPixels)
    assert np.array_equal(whole(picture), deep)
    same_again(picture, tmp_path / "out.tif").close()
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), deep)
    picture.close()
    Image.fromarray(smooth(20, 30, 3)).save(tmp_path / "plain.tif", compression="tiff_lzw")
    plain = read_picture(tmp_path / "plain.tif")
    assert np.array_equal(whole(plain), smooth(20, 30, 3))
    plain.close()


#: Predictor 2 is for whole numbers only.
LZW_KINDS = [(d, m, p) for p in (1, 2) for d, m in (("uint8", "L"), ("uint8", "RGBA"), ("uint16", "I;16"))]


@pytest.mark.parametrize(("dtype", "mode", "predictor"), [*LZW_KINDS, ("float32", "F", 1)])
def test_lzw_of_every_depth_and_predictor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, mode: str, predictor: int
) -> None:
    shape = (45, 60, 4) if mode == "RGBA" else (45, 60)
    pixels = (np.cumsum(RNG.normal(0, 9, shape), 1) * (1 if dtype == "uint8" else 40) + 120).clip(0).astype(dtype)
    monkeypatch.setattr("PIL.TiffImagePlugin.STRIP_SIZE", 2000)
    Image.fromarray(pixels).save(tmp_path / "in.tif", compression="tiff_lzw", tiffinfo={317: predictor})
    with tifffile.TiffFile(tmp_path / "in.tif") as file:
        assert len(file.pages.first.dataoffsets) > 1 and int(file.pages.first.predictor) == predictor
    picture = read_picture(tmp_path / "in.tif")
    assert isinstance(picture.pixels, SegmentedPixels)
    assert np.array_equal(picture.pixels[9:33, 10:50].squeeze(), pixels[9:33, 10:50])
    picture.close()


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_jpeg_in_tiff_is_read_by_parts(tmp_path: Path, mode: str) -> None:
    pixels = np.dstack([smooth(120, 90, 3)[..., 0] // 2 + 40] * 3)
    Image.fromarray(pixels).convert(mode).save(tmp_path / "in.tif", compression="jpeg", quality=95)
    picture = read_picture(tmp_path / "in.tif")
    assert isinstance(picture.pixels, SegmentedPixels)
    assert picture.mode == ("L" if mode == "L" else "RGB")
    with Image.open(tmp_path / "in.tif") as image:
        wanted = np.asarray(image.convert(picture.mode)).reshape(120, 90, -1)
    assert np.array_equal(whole(picture), wanted)
    assert np.array_equal(picture.pixels[50:70, 20:31], wanted[50:70, 20:31])
    picture.close()


def test_large_tiff_that_cannot_be_read_by_parts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(smooth(40, 50, 1)[..., 0]).convert("1").save(tmp_path / "fax.tif", compression="group4")
    assert read_picture(tmp_path / "fax.tif").size == (50, 40)
    monkeypatch.setattr("vidsr.media.pictures.tiff._WHOLE_PX", 1000)
    with pytest.raises(InputError, match=r"2,000 pixels in a kind of TIFF .* can be decoded only whole: convert it"):
        read_picture(tmp_path / "fax.tif")
    monkeypatch.setattr("vidsr.media.pictures.tiff._LARGEST_PART_BYTES", 1000)
    tifffile.imwrite(tmp_path / "one.tif", smooth(40, 50, 1)[..., 0], compression="zlib", rowsperstrip=40)
    with pytest.raises(InputError, match="stored in parts of 0 MB"):
        read_picture(tmp_path / "one.tif")


def test_deep_avif_keeps_more_than_8_bits(tmp_path: Path) -> None:
    ramp = np.linspace(2000, 60000, 256)[None, :, None].repeat(64, 0).repeat(3, 2).astype(np.uint16)
    with av.open(str(tmp_path / "in.avif"), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1)
        stream.width, stream.height, stream.pix_fmt, stream.options = 256, 64, "yuv420p10le", {"crf": "8"}
        with svt.tamed():
            container.start_encoding()
        frame = av.VideoFrame.from_ndarray(ramp, format="rgb48le")
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    picture = read_picture(tmp_path / "in.avif")
    pixels = whole(picture)
    assert picture.notes == [] and pixels.dtype == np.uint16
    assert len(np.unique(pixels[20])) > 200
    assert np.abs(pixels.astype(int) - ramp).mean() < 250
    same_again(picture, tmp_path / "out.png").close()
    assert len(np.unique(whole(read_picture(tmp_path / "out.png")))) > 200
    same_again(picture, tmp_path / "out.avif").close()
    assert picture.notes == ["AVIF is written with 8 bits a sample"]


def test_geotiff_tags_are_kept_and_scaled(tmp_path: Path) -> None:
    tags = [
        (33550, 12, 3, (10.0, 10.0, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0), True),
        (34735, 3, 4, (1, 1, 0, 0), True),
        (42113, 2, 0, "-9999", True),
        (65000, 2, 0, "a private tag", True),
    ]
    tifffile.imwrite(tmp_path / "in.tif", np.arange(600, dtype=np.int16).reshape(20, 30), extratags=tags, metadata=None)
    picture = read_picture(tmp_path / "in.tif")
    assert picture.meta.details["nodata"] == -9999
    scaled = {t[0]: t[3] for t in scaled_geotiff(picture.meta.tags, (4, 4))}
    assert scaled[33550] == (2.5, 2.5, 0.0)
    assert scaled[33922][3:5] == (440720.0, 3751320.0)
    same_again(picture, tmp_path / "out.tif").close()
    picture.close()
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        kept = {t.code: t.value for t in file.pages.first.tags}
    assert kept[65000] == "a private tag"
    assert kept[33922] == (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0)
    assert tuple(kept[34735]) == (1, 1, 0, 0)


def test_cmyk_jpeg_keeps_its_inks(tmp_path: Path) -> None:
    inks = np.dstack([smooth(16, 16, 3), smooth(16, 16, 1)])
    Image.fromarray(inks, "CMYK").save(tmp_path / "in.jpg", quality=100, subsampling=0)
    picture = read_picture(tmp_path / "in.jpg")
    assert picture.mode == "CMYK"
    back = same_again(picture, tmp_path / "out.jpg")
    assert back.mode == "CMYK"
    assert np.abs(whole(back).astype(int) - whole(picture)).max() <= 8


def test_a_format_that_cannot_hold_it_says_so(tmp_path: Path) -> None:
    deep = Picture(
        path=tmp_path,
        format="PNG",
        mode="RGBA",
        pixels=np.full((4, 4, 4), 40000, np.uint16),
        value_range=(0, 65535),
        meta=PictureMeta(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    )
    same_again(deep, tmp_path / "out.bmp")
    assert deep.notes == ["BMP is written with 8 bits a sample", "BMP holds no transparency", "BMP holds no EXIF"]
    wide = Picture(
        path=tmp_path, format="PNG", mode="L", pixels=np.zeros((1, 20000, 1), np.uint8), value_range=(0, 255)
    )
    with pytest.raises(OutputError, match="more than the 16383 pixels a side of WEBP"):
        same_again(wide, tmp_path / "out.webp")
    with pytest.raises(OutputError, match=r"cannot write \.xyz"):
        same_again(deep, tmp_path / "out.xyz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.bmp"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".tga", ".dds", ".avif", ".gif"])
def test_damaged_files_end_in_one_clear_error(tmp_path: Path, suffix: str) -> None:
    good = tmp_path / f"good{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(good)
    data = good.read_bytes()
    bad = tmp_path / f"bad{suffix}"
    for content in (b"", b"not a picture at all", data[: len(data) // 3], data[:30]):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=f"bad{suffix}"):
            read_picture(bad)
    with pytest.raises(InputError, match="no such file"):
        read_picture(tmp_path / "absent.png")


def test_disk_full_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    picture = Picture(path=tmp_path, format="PNG", mode="L", pixels=np.zeros((8, 8, 1), np.uint8), value_range=(0, 255))

    def bands() -> Iterator[np.ndarray]:
        yield picture.pixels[0:4, 0:8]
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="no space left"):
        write_picture(tmp_path / "out.png", picture, bands(), size=(8, 8), quality=95)
    assert not list(tmp_path.iterdir())


def test_pillow_is_left_as_it_was_whoever_ends_first(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    first, second = open_image(path), open_image(path)
    first.__enter__()
    second.__enter__()
    assert Image.MAX_IMAGE_PIXELS is None
    first.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS is None, "the second one still reads"
    second.__exit__(None, None, None)
    assert limit is not None and limit == Image.MAX_IMAGE_PIXELS
    assert list(warnings.filters) == filters

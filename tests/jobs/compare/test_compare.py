"""``compare`` on real files against ffmpeg's own filters and scikit-image."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.support import processes
from tests.support.places import SAMPLE
from vidsr.errors import InputError, OptionsError
from vidsr.jobs.compare.compare import CompareSettings, compare
from vidsr.models import zoo
from vidsr.quality.comparison import MEASURES
from vidsr.quality.comparison_page import page

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
MakeClip = Callable[..., Path]


@pytest.fixture
def worse(make_clip: MakeClip) -> Path:
    """The sample, compressed hard, in a container that rounds its times."""
    return make_clip("worse.mkv", "-i", str(SAMPLE), "-an", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "36")


def take(*measures: str, **more: object) -> CompareSettings:
    return CompareSettings(measures=measures, device="cpu", **more)  # type: ignore[arg-type]


def ffmpeg_values(other: Path, reference: Path, graph: str, folder: Path) -> str:
    command = [FFMPEG, "-v", "error", "-i", other, "-i", reference, "-lavfi", f"[0:v][1:v]{graph}", "-f", "null", "-"]
    processes.run(command, check=True, cwd=folder)
    return (folder / "log").read_text(encoding="utf-8")


def test_vmaf_and_luma_equal_ffmpeg(worse: Path, tmp_path: Path) -> None:
    result = compare(SAMPLE, [worse], take("psnr_y", "vmaf"))
    frames = result.to_json()["results"][0]["per_frame"]
    log = json.loads(ffmpeg_values(worse, SAMPLE, "libvmaf=log_fmt=json:log_path=log", tmp_path))
    wanted = [f["metrics"]["vmaf"] for f in log["frames"]]
    assert [f["vmaf"] for f in frames] == pytest.approx(wanted, abs=1e-3)
    text = ffmpeg_values(worse, SAMPLE, "psnr=stats_file=log", tmp_path)
    wanted = [float(m) for m in re.findall(r"psnr_y:([\d.]+)", text)]
    assert [f["psnr_y"] for f in frames] == pytest.approx(wanted, abs=6e-3), "the log has two decimals"
    assert len(frames) == 48 and result.to_json()["vmaf"] == result.others[0].measured.means()["vmaf"]


@pytest.mark.parametrize("pixels, graph_range", [("yuv420p10le", "tv"), ("yuv444p", "pc")])
def test_luma_of_deep_and_full_range_video(make_clip: MakeClip, tmp_path: Path, pixels: str, graph_range: str) -> None:
    colour = ("-color_range", graph_range, "-colorspace", "bt709", "-pix_fmt", pixels, "-c:v", "ffv1")
    source = ("-f", "lavfi", "-i")
    graph = f"testsrc2=s=96x64:r=25:d=0.2,scale=out_range={graph_range}:out_color_matrix=bt709,format={pixels}"
    a = make_clip("a.mkv", *source, graph, *colour)
    b = make_clip("b.mkv", *source, f"{graph},gblur=2", *colour)
    text = ffmpeg_values(b, a, "psnr=stats_file=log", tmp_path)
    frames = compare(a, [b], take("psnr_y")).to_json()["results"][0]["per_frame"]
    wanted = [float(m) for m in re.findall(r"psnr_y:([\d.]+)", text)]
    assert [f["psnr_y"] for f in frames] == pytest.approx(wanted, abs=6e-3)


def test_rgb_measures_equal_scikit_image(make_clip: MakeClip) -> None:
    """RGB clips, so that no colour conversion stands between the files and scikit-image."""
    recipe = ("-f", "lavfi", "-i")
    a = make_clip("a.mkv", *recipe, "testsrc2=s=96x64:r=25:d=0.12", "-c:v", "ffv1", "-pix_fmt", "gbrp")
    b = make_clip("b.mkv", *recipe, "testsrc2=s=96x64:r=25:d=0.12,gblur=1.5", "-c:v", "ffv1", "-pix_fmt", "gbrp")
    frames = compare(a, [b], take("psnr", "ssim")).to_json()["results"][0]["per_frame"]
    left, right = (raw_rgb(path, 96, 64) for path in (a, b))
    assert len(frames) == len(left) == 3
    for frame, x, y in zip(frames, left, right, strict=True):
        assert frame["psnr"] == pytest.approx(peak_signal_noise_ratio(x, y, data_range=255), abs=1e-3)
        wanted = structural_similarity(
            x, y, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert frame["ssim"] == pytest.approx(wanted, abs=1e-4)


def raw_rgb(path: Path, width: int, height: int) -> np.ndarray:
    command = [FFMPEG, "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = processes.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def test_everything_at_once(worse: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_WEIGHTS", str(shared / "weights"))
    result = compare(SAMPLE, [worse, SAMPLE], CompareSettings(limit=6, device="cpu"))
    bad, same = (other.measured.means() for other in result.others)
    assert set(bad) == {"psnr", "psnr_y", "ssim", "lpips", "vmaf", "tof", "warping_error"}
    assert same["psnr"] == same["psnr_y"] == 100 and same["ssim"] == pytest.approx(1)
    assert same["lpips"] < 1e-6 and same["tof"] == 0
    assert bad["lpips"] > 0.02 and bad["tof"] > 0 and bad["vmaf"] < same["vmaf"]
    assert any("ms_ssim left out" in note for note in result.others[0].notes), "and says why"
    assert result.others[0].measured.values["tof"][0] is None, "the first frame has no predecessor"
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert len(rows) == 12 and rows[0]["tof"] == "" and float(rows[1]["lpips"]) > 0
    html = page(result.to_json(), [o.measured.worst for o in result.others])
    assert len(re.findall("data:image/jpeg", html)) == 2 * sum(len(o.measured.worst) for o in result.others) > 0


def test_a_lost_frame_is_paired_around(make_clip: MakeClip) -> None:
    lossless = ("-c:v", "ffv1", "-fps_mode", "passthrough")
    whole = make_clip("whole.mkv", "-i", str(SAMPLE), "-an", *lossless)
    holed = make_clip("holed.mkv", "-i", str(SAMPLE), "-an", "-vf", "select='not(eq(n,10))'", *lossless)
    result = compare(whole, [holed], take("psnr"))
    other = result.others[0]
    assert len(other.measured.seconds) == 47 and other.unpaired == (1, 0)
    assert other.measured.means()["psnr"] == 100
    assert any("no partner" in note for note in other.notes)


def test_sizes(make_clip: MakeClip) -> None:
    small = make_clip("small.mkv", "-i", str(SAMPLE), "-an", "-vf", "scale=80:44", "-c:v", "ffv1")
    with pytest.raises(OptionsError, match=r"80x44 and the reference is 160x90.*--fit reference"):
        compare(SAMPLE, [small], take("psnr"))
    up = compare(SAMPLE, [small], take("psnr", "vmaf", fit="reference", limit=3)).others[0].measured.means()
    down = compare(SAMPLE, [small], take("psnr", fit="other", limit=3)).others[0].measured.means()
    assert 20 < up["psnr"] < down["psnr"]


def test_refusals(worse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "cache_folder", lambda: tmp_path)
    monkeypatch.delenv("VIDSR_WEIGHTS", raising=False)
    with pytest.raises(OptionsError, match="known are psnr"):
        compare(SAMPLE, [worse], take("niqe"))
    with pytest.raises(OptionsError, match="ms_ssim: frames of 160x90 are too small"):
        compare(SAMPLE, [worse], take("ms_ssim"))
    with pytest.raises(OptionsError, match="name at least one"):
        compare(SAMPLE, [])
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(InputError):
        compare(SAMPLE, [tmp_path / "no.mp4"], take("psnr"))
    result = compare(SAMPLE, [worse], CompareSettings(limit=1, device="cpu"))
    assert any("lpips left out" in n and "vidsr models fetch" in n for n in result.others[0].notes)
    told = result.to_json()
    for means in (told, told["results"][0]):
        assert set(MEASURES) <= set(means), "a name for every measure, with nothing behind what was left out"
        assert means["lpips"] is None and means["ms_ssim"] is None and means["psnr"] > 0


def test_the_page_is_closed_in_itself(worse: Path) -> None:
    result = compare(SAMPLE, [worse], take("psnr", "ssim", limit=3)).to_json()
    hostile = "</script><script>alert(1)</script>.mkv"
    result["results"][0]["path"] = hostile
    result["reference"]["path"] = f"/x/{hostile[1:]}"
    html = page(result, [[]])
    assert "<script>alert" not in html and html.count("</script>") == 2
    data = re.search(r'id="data">(.*?)</script>', html, re.S)
    assert data and json.loads(data[1])["comparison"]["results"][0]["path"] == hostile
    assert not re.findall(r'(?:src|href)="?https?:|url\(|@import|fetch\(', html), "no request to anywhere"


def test_how_a_video_was_made_is_told_if_its_record_is_of_it(worse: Path, tmp_path: Path) -> None:
    video = tmp_path / "made.mkv"
    video.write_bytes(worse.read_bytes())
    record = {
        "schema": "vidsr-provenance/1",
        "result": {"sha256": hashlib.sha256(video.read_bytes()).hexdigest()},
        "model": {"name": "realesr-animevideov3"},
        "options": {"encode": {"crf": 36}},
        "source": {"name": "clip.mp4"},
        "software": {"vidsr": "0.1.0"},
        "not_kept": [],
    }
    sidecar = tmp_path / "made.mkv.provenance.json"
    sidecar.write_text(json.dumps(record))
    result = compare(SAMPLE, [video], take("psnr", limit=1))
    assert result.to_json()["results"][0]["job"]["options"]["encode"]["crf"] == 36
    sidecar.write_text(json.dumps(record | {"result": {"sha256": "0" * 64}}))
    assert compare(SAMPLE, [video], take("psnr", limit=1)).others[0].job is None


def test_pictures_can_be_compared(tmp_path: Path) -> None:
    picture = SAMPLE.with_name("bigbuckbunny-320x180.png")
    with Image.open(picture) as image:
        image.convert("RGB").filter(ImageFilter.GaussianBlur(1)).save(tmp_path / "soft.png")
        pair = [np.asarray(image.convert("RGB")), np.asarray(Image.open(tmp_path / "soft.png"))]
    found = compare(picture, [tmp_path / "soft.png"], take("psnr", "ms_ssim")).to_json()
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(*pair), abs=1e-3)

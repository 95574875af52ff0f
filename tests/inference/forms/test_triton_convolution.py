"""The Triton kernel on a CPU, in Triton's interpreter and as compiled for GPUs that are not here: it is the plain
network's arithmetic in another order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.support import processes
from tests.support.places import child_environment
from tests.support.ptx import Instruction
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig

pytest.importorskip("triton")

from tests.support.kernel_compilation import Emulated, tiling_for
from vidsr.inference.forms import triton_convolution

# In a process of its own: the interpreter is chosen when Triton is imported.
PROGRAM = """
import torch
from torch.nn import functional as F
from vidsr.inference.forms.triton_convolution import Tiling, TritonConv, TritonRRDBNet, TritonSRVGGNetCompact
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig

torch.manual_seed(0)
torch.set_grad_enabled(False)
small = Tiling(pixels=32, channels=16)

x = torch.randn(2, 32, 5, 7)
nhwc = x.permute(0, 2, 3, 1).contiguous()
for cout, slope in ((16, 0.2), (3, 1.0), (24, 0.0)):
    w, b = torch.randn(cout, 32, 3, 3) / 17, torch.randn(cout)
    expected = F.leaky_relu(F.conv2d(x, w, b, padding=1), slope)
    room = torch.full((2, 5, 7, cout + 9), 7.0)
    TritonConv(w, b, slope=slope)(nhwc, room[..., 4 : 4 + cout], small)
    assert torch.allclose(room[..., 4 : 4 + cout].permute(0, 3, 1, 2), expected, atol=1e-5), cout
    assert (room[..., :4] == 7).all() and (room[..., 4 + cout :] == 7).all(), "wrote beside its slice"

# By rows: 37 pixels are three blocks of 16, the last one beyond the row; the slices lie between others.
rows = Tiling(pixels=32, channels=16, rows=True)
x2 = torch.randn(2, 32, 5, 37)
room = torch.full((2, 5, 37, 64), 7.0)
room[..., :32] = x2.permute(0, 2, 3, 1)
w, b = torch.randn(16, 32, 3, 3) / 17, torch.randn(16)
one, other = torch.randn(2, 5, 37, 16), torch.randn(2, 5, 37, 32)
expected = F.leaky_relu(F.conv2d(x2, w, b, padding=1), 0.2).permute(0, 2, 3, 1) + 0.5 * one + other[..., :16]
TritonConv(w, b, slope=0.2)(room[..., :32], room[..., 32:48], rows, [(one, 0.5), (other, 1.0)])
assert torch.allclose(room[..., 32:48], expected, atol=1e-5), "rows"
assert (room[..., 48:] == 7).all() and (room[..., :32] == x2.permute(0, 2, 3, 1)).all(), "rows wrote beside its slice"

w, b = torch.randn(16, 32, 3, 3) / 17, torch.randn(16)
expected = F.leaky_relu(F.conv2d(F.interpolate(x, scale_factor=2.0), w, b, padding=1), 0.2)
out = TritonConv(w, b, slope=0.2, doubled=True)(nhwc, torch.empty(2, 10, 14, 16), small)
assert torch.allclose(out.permute(0, 3, 1, 2), expected, atol=1e-5), "phases"

net = RRDBNet(RRDBNetConfig(num_feat=16, num_block=2, num_grow_ch=16, scale=2)).eval()
x = torch.rand(1, 3, 5, 6)  # odd for a network that folds 2x2 pixels
for tiling in (Tiling(pixels=64, channels=16), rows):
    gap = (TritonRRDBNet(net, tiling)(x) - net(x)).square().mean().sqrt()
    assert gap < 1e-5, (tiling, gap)

for activation in ("prelu", "leakyrelu", "relu"):
    net = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=16, num_conv=2, scale=3, activation=activation)).eval()
    for layer in net.body:
        if isinstance(layer, torch.nn.PReLU):
            layer.weight.copy_(torch.linspace(-2, 2, 16))
    x = torch.rand(2, 3, 5, 7)
    for tiling in (small, rows) if activation == "prelu" else (small,):
        gap = (TritonSRVGGNetCompact(net, tiling)(x) - net(x)).square().mean().sqrt()
        assert gap < 1e-6, (activation, tiling, gap)
print("equal")
"""


@pytest.mark.long
def test_triton_kernel_in_the_interpreter() -> None:
    environment = child_environment(TRITON_INTERPRET="1")
    done = processes.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "equal"


# Compiled by Triton, and the PTX executed.


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Emulated:
    """The kernel of a GPU of this architecture, on the CPU."""
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "add_stages_inspection_hook", None)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    made = Emulated(triton_convolution._convolve, request.param)
    monkeypatch.setattr(triton_convolution, "_convolve", made)
    return made


@pytest.mark.long
@pytest.mark.parametrize("emulated", [75, 80], indirect=True)
def test_the_compiled_kernel_convolves_into_its_slice(emulated: Emulated) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 96, 7, 21).half()
    weight, bias = (torch.randn(32, 96, 3, 3) / 29).half(), torch.randn(32).half()
    given = torch.full((1, 7, 21, 192), 7.0).half()
    given[..., :96] = x.permute(0, 2, 3, 1)
    want = F.leaky_relu(F.conv2d(x.float(), weight.float(), bias.float(), padding=1), 0.2).permute(0, 2, 3, 1)
    conv = triton_convolution.TritonConv(weight, bias, slope=0.2)

    def gap() -> float:
        room = given.clone()
        conv(room[..., :96], room[..., 96:128], tiling_for(emulated.arch))
        assert (room[..., 128:] == 7).all() and room[..., :96].equal(given[..., :96]), "wrote beside its slice"
        return float((room[..., 96:128].float() - want).abs().max())

    assert gap() <= 2.0**-8, "half a unit in the last place of values below 8"
    program, _ = next(iter(emulated.programs.values()))
    number = next(n for n, one in enumerate(program.code) if one.name[0] == "mma")
    program.code[number] = Instruction(None, ("bar", "sync"), ())
    assert gap() > 0.1, "a missing product went unnoticed"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("emulated", [75, 80, 86, 89], indirect=True)
def test_networks_of_compiled_kernels_show_the_same_picture(emulated: Emulated) -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 9, 17)
    forms: list[tuple[nn.Module, Any]] = [
        (SRVGGNetCompact(SRVGGNetCompactConfig(num_conv=1)), triton_convolution.TritonSRVGGNetCompact),
        (RRDBNet(RRDBNetConfig(num_block=1)), triton_convolution.TritonRRDBNet),
    ]
    with torch.inference_mode():
        for network, form in forms:
            want: Tensor = network.eval()(x)
            got = form(network.half(), tiling_for(emulated.arch))(x.half()).float()
            error = (got - want).square().mean() / want.square().mean()
            assert -10 * error.log10() >= 55, type(network).__name__

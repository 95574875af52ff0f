"""An architecture is one descriptor: a made-up one, put into the table and nowhere else, does all that others do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.support.clips import ClipFactory
from tests.support.export_runtimes import RUNTIMES
from vidsr.errors import ModelError
from vidsr.inference.tiles import run_tiled
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.enhance import enhance
from vidsr.media.probe import probe
from vidsr.models import checkpoint, graph, saving
from vidsr.models.architecture import Architecture, Recognised, State
from vidsr.models.export import FORMATS, export
from vidsr.models.known_architectures import ARCHITECTURES
from vidsr.options.enhance_options import ModelOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedConfig:
    in_channels: int = 3
    out_channels: int = 3
    features: int = 8
    scale: int = 3


class Gated(nn.Module):
    """Two convolutions, one of which gates the other by what a pooled, resized third one says."""

    def __init__(self, config: GatedConfig) -> None:
        super().__init__()
        self.config = config
        c, feat = config, config.features
        self.entry = nn.Conv2d(c.in_channels, feat, 3, padding=1)
        self.slopes = nn.PReLU(feat)
        self.far = nn.Conv2d(feat, feat, 3, stride=2, padding=1)
        self.each = nn.Conv2d(feat, feat, 3, padding=1, groups=feat)
        self.mix = nn.Conv2d(feat + feat // 2, c.out_channels * c.scale**2, 1, bias=False)

    @property
    def scale(self) -> int:
        return self.config.scale

    def forward(self, x: Tensor) -> Tensor:
        feat = self.slopes(self.entry(x))
        far = F.max_pool2d(F.gelu(self.far(feat)), 3, 1)
        gate = torch.sigmoid(F.interpolate(far, feat.shape[-2:], mode="bilinear", align_corners=False))
        gated = F.leaky_relu(self.each(feat), 0.1) * gate
        mixed = self.mix(torch.cat((gated, feat[:, : feat.shape[1] // 2]), 1))
        base = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        return F.pixel_shuffle(mixed, self.scale) * 0.5 + base


def recognise(tensors: State, card: Mapping[str, str]) -> Recognised | None:
    if "entry.weight" not in tensors or "slopes.weight" not in tensors:
        return None
    channels = tensors["entry.weight"].shape[1]
    scale = math.isqrt(tensors["mix.weight"].shape[0] // channels)
    config = GatedConfig(
        in_channels=channels, out_channels=channels, features=tensors["entry.weight"].shape[0], scale=scale
    )
    return Recognised("Gated", config, "its own", dict(tensors))


def describe(network: Gated) -> graph.Graph:
    c = network.config
    made = graph.Graph(c.in_channels, c.out_channels)
    feat = made.add(graph.PReLU("slopes", network.slopes), made.add(graph.Convolution("entry", network.entry), 0))
    far = made.add(graph.GELU(), made.add(graph.Convolution("far", network.far), feat))
    far = made.add(graph.MaxPool(3, 1), far)
    gate = made.add(graph.Sigmoid(), made.add(graph.ResizeLike(), far, feat))
    gated = made.add(graph.Multiply(), made.add(graph.Convolution("each", network.each, 0.1), feat), gate)
    joined = made.add(graph.Concat(), gated, made.add(graph.Channels(0, c.features // 2), feat))
    shuffled = made.add(graph.Shuffle(c.scale), made.add(graph.Convolution("mix", network.mix), joined))
    made.add(graph.Sum((0.5, 1.0)), shuffled, made.add(graph.Enlarge(c.scale), 0))
    return made


GATED = Architecture(
    name="Gated",
    known_as="Gated (made up)",
    network=Gated,
    build=Gated,
    recognise=recognise,
    overlap_px=lambda network: 40,
    reach_px=lambda network: 10,
    graph=describe,
)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(ARCHITECTURES, "Gated", GATED)
    torch.manual_seed(3)
    path = tmp_path / "made-up.safetensors"
    saving.save(path, Gated(GatedConfig()).state_dict(), {"licence": "BSD-3-Clause"})
    return path


def test_recognised_from_its_tensors(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = checkpoint.load(weights)
    assert (model.architecture, model.scale, model.config) == ("Gated", 3, GatedConfig())
    monkeypatch.delitem(ARCHITECTURES, "Gated")
    with pytest.raises(ModelError, match="unknown architecture"):
        checkpoint.load(weights)


def test_a_video_is_enlarged_by_it(weights: Path, clips: ClipFactory, tmp_path: Path) -> None:
    result = enhance(clips(), tmp_path / "out.mkv", model=str(weights), preset="ultrafast", device="cpu")
    assert result.output.is_file()
    source, made = (size_of(path) for path in (clips(), result.output))
    assert made == (3 * source[0], 3 * source[1])


def size_of(path: Path) -> tuple[int, int]:
    video = probe(path).video
    return video.width, video.height


@torch.inference_mode()
def test_its_overlap_makes_tiles_equal_whole_frames(weights: Path) -> None:
    upscaler = Upscaler(ModelOptions(model=str(weights), device="cpu", tile=96))
    model = upscaler.model
    x = torch.rand(1, 3, 140, 170, generator=torch.Generator().manual_seed(1))
    whole = model.network(x)
    torch.testing.assert_close(run_tiled(model.network, x, 96, 3, 40)[..., 60:-60, 60:-60], whole[..., 60:-60, 60:-60],
                               atol=0.02, rtol=0)  # fmt: skip
    assert torch.equal(upscaler.fitted(x), run_tiled(upscaler.fitted.backend, x, 96, 3, 40))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("to", RUNTIMES)
def test_exported_from_its_graph(weights: Path, tmp_path: Path, to: str, half: bool) -> None:
    model = checkpoint.load(weights)
    target = tmp_path / f"out{FORMATS[to][0]}"
    export(model, target, to, half=half)
    for shape in ((1, 3, 16, 24), (1, 3, 35, 21)):
        frames = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            wanted = model.network(frames).numpy()
        assert np.abs(RUNTIMES[to](target, frames.numpy()) - wanted).max() <= (4e-3 if half else 1e-4)


def test_without_a_graph_it_is_not_exported(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "Gated", replace(GATED, graph=None))
    with pytest.raises(ModelError, match="Gated cannot be exported"):
        export(checkpoint.load(weights), tmp_path / "out.onnx", "onnx")


def test_a_recurrent_network_does_not_run_on_single_frames(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "Gated", replace(GATED, recurrent=True))
    with pytest.raises(ModelError, match="sequences of frames"):
        Upscaler(ModelOptions(model=str(weights), device="cpu"))

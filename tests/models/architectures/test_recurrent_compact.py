"""RecurrentCompact: begins as the still network, is recognised, and runs elsewhere with its state as inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vidsr.errors import CheckpointError, ModelError
from vidsr.models import checkpoint, saving, zoo
from vidsr.models.architectures.recurrent_compact import RecurrentCompact, folded, from_still
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.models.export import export
from vidsr.models.known_architectures import architecture_of


def trained(scale: int = 4) -> RecurrentCompact:
    """A small network whose new layers are no longer zero."""
    torch.manual_seed(scale)
    network = RecurrentCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2, scale=scale)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn_like(weight) * 0.2)
    return network.requires_grad_(False)


def state(scale: int, height: int = 12, width: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture, a carried result and its trust."""
    made = torch.Generator().manual_seed(5)
    picture = torch.rand(2, 3, height, width, generator=made)
    carried = torch.rand(2, 3, height * scale, width * scale, generator=made)
    return picture, carried, torch.rand(2, 1, height, width, generator=made)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@torch.inference_mode()
def test_it_begins_exactly_as_the_still_network(scale: int) -> None:
    torch.manual_seed(0)
    still = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2, scale=scale)).eval()
    network = from_still(still)
    picture, carried, trust = state(scale)
    assert torch.equal(network(picture), still(picture))
    assert torch.equal(network(folded(picture, carried, trust)), still(picture))


@torch.inference_mode()
def test_the_shipped_general_model_begins_exactly_as_it_is() -> None:
    still = zoo.load_model("realesr-general-x4v3").network
    assert isinstance(still, SRVGGNetCompact)
    picture, carried, trust = state(4, 8, 9)
    assert torch.equal(from_still(still)(folded(picture, carried, trust)), still(picture))


@torch.inference_mode()
def test_no_trust_is_nothing_known() -> None:
    picture, carried, trust = state(4)
    network = trained()
    unknown = network(folded(picture, carried, 0 * trust))
    assert torch.allclose(unknown, network(picture), atol=1e-6)
    assert not torch.allclose(network(folded(picture, carried, trust)), network(picture), atol=1e-3)


@torch.inference_mode()
def test_the_gate_passes_the_carried_result() -> None:
    """Where the gate is open and the trust is full, the result is what was carried."""
    network = RecurrentCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2)).eval()
    torch.nn.init.constant_(network.gate.bias, 30.0)  # type: ignore[arg-type]
    picture, carried, trust = state(4)
    assert torch.allclose(network(folded(picture, carried, torch.ones_like(trust))), carried, atol=1e-5)


def test_a_file_is_recognised_and_loaded_again(tmp_path: Path) -> None:
    network = trained(2)
    saving.save(tmp_path / "m.safetensors", network.state_dict(), {})
    model = checkpoint.load(tmp_path / "m.safetensors")
    assert (model.architecture, model.scale, model.config) == ("RecurrentCompact", 2, network.config)
    assert all(torch.equal(v, model.network.state_dict()[k]) for k, v in network.state_dict().items())
    incomplete = {k: v for k, v in network.state_dict().items() if k != "gate.weight"}
    saving.save(tmp_path / "cut.safetensors", incomplete, {})
    with pytest.raises(CheckpointError, match="missing or unknown tensors"):
        checkpoint.load(tmp_path / "cut.safetensors")


def exported(tmp_path: Path, to: str, half: bool = False) -> Path:
    saving.save(tmp_path / "m.safetensors", trained().state_dict(), {})
    (path, *_) = export(checkpoint.load(tmp_path / "m.safetensors"), tmp_path / "out.x", to, half=half)
    return path


@pytest.mark.parametrize("half", [False, True])
def test_onnx_has_the_state_as_inputs(tmp_path: Path, half: bool) -> None:
    """In ONNX Runtime, over three frames, the result of each being what is carried to the next."""
    import onnxruntime

    session = onnxruntime.InferenceSession(exported(tmp_path, "onnx", half), providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["rgb", "carried", "trust"]
    network = trained()
    picture, carried, trust = state(4)
    for given in (trust, trust, 0 * trust):
        fed = {"rgb": picture.numpy(), "carried": carried.numpy(), "trust": given.numpy()}
        got = session.run(None, fed)[0]
        wanted = network(folded(picture, carried, given))
        error = float(np.abs(got - wanted.numpy()).max()) / float(wanted.abs().max())
        assert error <= (5e-3 if half else 1e-5)
        assert half == (error > 1e-5)
        carried = wanted


def test_openvino_takes_the_state_too(tmp_path: Path) -> None:
    from vidsr.models.openvino import load_openvino

    core = load_openvino().Core()
    model = core.compile_model(exported(tmp_path, "openvino"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    picture, carried, trust = state(4)
    got = model({"rgb": picture.numpy(), "carried": carried.numpy(), "trust": trust.numpy()})[0]
    assert np.abs(got - trained()(folded(picture, carried, trust)).numpy()).max() <= 1e-4


def test_ncnn_has_no_such_form(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="export it as onnx or openvino"):
        exported(tmp_path, "ncnn")
    assert not list(tmp_path.glob("out*"))


def test_its_descriptor_counts_the_state() -> None:
    network = trained(2)
    descriptor = architecture_of(network)
    assert descriptor.state_channels is not None and descriptor.state_channels(network) == 3 * 4 + 1
    assert descriptor.bytes_per_pixel(network, 2, 4) > 0

"""EFDN: recognised from shapes, any frame size, and what its published weights score is in tests/training."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.places import SAMPLE
from vidsr.errors import CheckpointError
from vidsr.inference import colour
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.models import recognition, zoo
from vidsr.models.architectures.efdn import EFDN, EFDNConfig


@settings(max_examples=20, deadline=None)
@given(
    feat=st.integers(1, 6).map(lambda n: 2 * n),
    inner=st.integers(1, 5),
    cells=st.integers(2, 5),
    scale=st.sampled_from([1, 2, 3, 4, 8]),
    channels=st.sampled_from([1, 3]),
)
def test_hyper_parameters_come_from_shapes_alone(feat: int, inner: int, cells: int, scale: int, channels: int) -> None:
    config = EFDNConfig(
        in_channels=channels, out_channels=channels, num_feat=feat, attention_feat=inner, num_cells=cells, scale=scale
    )
    found = recognition.recognise(EFDN(config).state_dict())
    assert (found.architecture, found.config) == ("EFDN", config)


def test_a_broken_file_is_named() -> None:
    state = EFDN(EFDNConfig(num_feat=4, attention_feat=2)).state_dict()
    with pytest.raises(CheckpointError, match=r"tail\.0\.weight is missing"):
        recognition.recognise({k: v for k, v in state.items() if k != "tail.0.weight"})
    with pytest.raises(CheckpointError, match="47 outputs for 3 channels"):
        recognition.recognise(state | {"tail.0.weight": torch.zeros(47, 4, 3, 3)})


@pytest.mark.parametrize("size", [(1, 1), (14, 15), (15, 14), (15, 40), (33, 20)])
@torch.inference_mode()
def test_frames_of_every_size(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    network = EFDN(EFDNConfig(num_feat=4, attention_feat=2, scale=2)).eval()
    x = torch.rand(2, 3, *size)
    out = network(x)
    assert out.shape == (2, 3, 2 * size[0], 2 * size[1]) and bool(torch.isfinite(out).all())
    padded = torch.nn.functional.pad(x, (0, max(0, 15 - size[1]), 0, max(0, 15 - size[0])), mode="replicate")
    assert torch.equal(out, network(padded)[..., : out.shape[-2], : out.shape[-1]])


@torch.inference_mode()
def test_colours_beyond_the_display_leave_no_specks() -> None:
    """Dark, saturated chroma of compressed video gives RGB below 0; such a frame of a real clip came out of the network
    alone wrong by half of full scale."""
    network = zoo.load_model("faithful").network
    frame = next(islice(read_frames(probe(SAMPLE)), 10, None))
    source = colour.rgb_of(frame)[..., 30:75, 30:100]
    assert float(source.min()) < -0.05
    reduced = torch.nn.functional.avg_pool2d(network(source), 4)
    assert float((reduced - source).abs().max()) < 0.08
    beyond = torch.nn.functional.interpolate(source - source.clamp(0, 1), scale_factor=4, mode="nearest")
    torch.testing.assert_close(network(source), network(source.clamp(0, 1)) + beyond)

"""BasicVSR by the Winograd kernels gives what the plain network gives."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest
import torch

from vidsr.inference.forms import winograd_library
from vidsr.inference.forms.winograd_basicvsr import WinogradBasicVSR
from vidsr.models.architectures.basicvsr import BasicVSR, BasicVSRConfig


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    found = winograd_library.library()
    if found is None:
        pytest.skip("no C compiler, so no Winograd kernels")
    return found


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (24, 30), (25, 9), (61, 8)])
@pytest.mark.parametrize("feat", [8, 64])
def test_equal_to_the_plain_network(library: ctypes.CDLL, feat: int, size: tuple[int, int]) -> None:
    torch.manual_seed(feat)
    network = BasicVSR(BasicVSRConfig(num_feat=feat, num_block=3)).eval().requires_grad_(False)
    form = WinogradBasicVSR(network, library)
    for _ in range(2):  # the second time with what the first left in the buffers
        picture, features = torch.rand(1, 3, *size), torch.randn(2, feat, *size).unsqueeze(1)
        pairs = [
            (form.backward_trunk(picture, features[0]), network.backward_trunk(picture, features[0])),
            (form.forward_trunk(picture, features[1]), network.forward_trunk(picture, features[1])),
            (form.enlarge(picture, *features), network.enlarge(picture, *features)),
        ]
        for ours, plain in pairs:
            error = (ours.double() - plain.double()).square().mean() / plain.double().square().mean()
            assert ours.shape == plain.shape and -10 * torch.log10(error) > 100
    assert torch.equal(form.no_features(picture), network.no_features(picture))


def test_the_result_does_not_depend_on_the_number_of_threads(library: ctypes.CDLL) -> None:
    torch.manual_seed(0)
    form = WinogradBasicVSR(BasicVSR(BasicVSRConfig(num_feat=32, num_block=2)).eval().requires_grad_(False), library)
    picture, features = torch.rand(1, 3, 40, 50), torch.randn(1, 32, 40, 50)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(form.forward_trunk(picture, features))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)

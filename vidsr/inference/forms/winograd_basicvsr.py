"""BasicVSR on a CPU in fp32 by Winograd convolutions: see winograd.c and :mod:`vidsr.inference.forms.winograd_cpu`.

Each trunk is one program of 61 layers over two buffers. The tail, which has up to 16 times the pixels, runs in strips;
its pixel shuffles are part of the convolutions. The 1×1 fusion and the sampling along the motion stay with PyTorch.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.inference.forms.winograd_cpu import Buffer, ConvolutionStep, PackedConvolution, Packer, Program
from vidsr.models.architectures.basicvsr import NEGATIVE_SLOPE, SCALE, BasicVSR, ResidualBlock, Trunk, base

#: Source rows per strip of the tail. One at each inner border is computed twice: the three convolutions after the
#: first, at 2, 4 and 4 times the size, reach 1/2 + 1/4 + 1/4 rows.
STRIP_ROWS = 24
_STRIP_MARGIN = 1


class FastTrunk:
    """A trunk in this form: ``picture`` ``[1, 3, h, w]`` and ``carried`` ``[1, F, h, w]`` to ``[1, F, h, w]``."""

    def __init__(self, trunk: Trunk, pack: Packer, library: ctypes.CDLL) -> None:
        first, _, blocks = trunk.main
        assert isinstance(first, nn.Conv2d) and isinstance(blocks, nn.Sequential)
        self._library = library
        self._feat = first.out_channels
        # Carried features first: they fill whole groups of channels, so that the three of the picture share one.
        self._first = pack(_features_first(first), [self._feat, 3], NEGATIVE_SLOPE)
        self._second = self._feat + -self._feat % pack.wide  # where the picture's group begins in memory
        self._blocks: list[tuple[PackedConvolution, PackedConvolution]] = []
        for block in blocks:
            assert isinstance(block, ResidualBlock)
            self._blocks.append((pack(block.conv1, [self._feat], 0.0), pack(block.conv2, [self._feat])))
        self._shape: tuple[int, int] | None = None

    def __call__(self, picture: Tensor, carried: Tensor) -> Tensor:
        """One frame's features."""
        self._prepare(picture.shape[-2], picture.shape[-1])
        self._input.put(carried[0])
        self._input.put(picture[0], self._second)
        self._program()
        return self._features.features(self._feat).unsqueeze(0)

    def _prepare(self, height: int, width: int) -> None:
        """Buffers and program for one size; kept until another size comes."""
        if self._shape == (height, width):
            return
        self._shape = None
        self._input = Buffer(self._library, height, width, self._first.depth)
        self._features, self._middle = (Buffer(self._library, height, width, self._first.stored) for _ in range(2))
        here, middle = self._features.at(), self._middle.at()
        steps = [ConvolutionStep(conv=self._first, source=self._input.at(), target=here)]
        for one, two in self._blocks:
            steps.append(ConvolutionStep(conv=one, source=here, target=middle))
            # In place: a tile is written only where its own residual was read, and the source is the other buffer.
            steps.append(ConvolutionStep(conv=two, source=middle, target=here, residuals=[(here, 1.0)]))
        self._program = Program(self._library, steps)
        self._shape = (height, width)


@dataclass(frozen=True, slots=True)
class _Strip:
    """One strip of the tail: source rows ``top`` to ``bottom`` of the result, computed from row ``first`` on."""

    program: Program
    top: int
    bottom: int
    first: int


class WinogradBasicVSR:
    """A BasicVSR in this form, stepped through a sequence frame by frame; the methods are the plain network's."""

    def __init__(self, network: BasicVSR, library: ctypes.CDLL) -> None:
        self._library = library
        pack = Packer(library)
        self._feat = feat = network.config.num_feat
        self.no_features = network.no_features
        self.backward_trunk = FastTrunk(network.backward_trunk, pack, library)
        self.forward_trunk = FastTrunk(network.forward_trunk, pack, library)
        self._fusion = network.fusion
        self._up1 = pack(_phases(network.upconv1, pack.wide), [feat], NEGATIVE_SLOPE)
        self._up2 = pack(_phases(network.upconv2, pack.wide), [feat], NEGATIVE_SLOPE)
        self._hr = pack(network.conv_hr, [feat], NEGATIVE_SLOPE)
        self._last = pack(network.conv_last, [feat])
        self._shape: tuple[int, int] | None = None

    def enlarge(self, picture: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        """See :meth:`vidsr.models.architectures.basicvsr.BasicVSR.enlarge`; one frame."""
        height, width = picture.shape[-2:]
        self._prepare(height, width)
        fused = F.leaky_relu(self._fusion(torch.cat((backward, forward), 1)), NEGATIVE_SLOPE, inplace=True)
        self._fused.put(fused[0])
        out = base(picture)
        for strip in self._strips:
            strip.program()
            part = out[0, :, SCALE * strip.top : SCALE * strip.bottom]
            self._result.get(part, part, first=SCALE * (strip.top - strip.first))
        return out

    @staticmethod
    def buffer_bytes(features: int, height: int, width: int) -> int:
        """Bytes for one size beyond the features that a window keeps: buffers of both trunks, features, result, and the
        strip of the tail, at 2, 4 and 4 times the size."""
        whole = 4 * (2 * (3 * features + 32) + 6 * features + 3 * 3 * SCALE**2)
        strip = 4 * features * (2 * 2 + 2 * SCALE**2) * min(STRIP_ROWS, height)
        return (whole * height + strip) * width

    def _prepare(self, height: int, width: int) -> None:
        if self._shape == (height, width):
            return
        self._shape = None
        feat, rows = self._up1.cin, min(STRIP_ROWS, height)
        self._fused = Buffer(self._library, height, width, feat)
        double = Buffer(self._library, 2 * rows, 2 * width, feat)
        quadruple, sharp = (Buffer(self._library, 4 * rows, 4 * width, feat) for _ in range(2))
        self._held = (double, quadruple, sharp)  # the layers hold addresses only
        self._result = Buffer(self._library, 4 * rows, 4 * width, 3)
        rest = [
            ConvolutionStep(conv=self._up2, source=double.at(), target=quadruple.at(), shuffled=True),
            ConvolutionStep(conv=self._hr, source=quadruple.at(), target=sharp.at()),
            ConvolutionStep(conv=self._last, source=sharp.at(), target=self._result.at()),
        ]
        self._strips, done = [], 0
        while done < height:
            first = max(0, min(done - _STRIP_MARGIN, height - rows))
            end = height if first + rows >= height else first + rows - _STRIP_MARGIN
            step = ConvolutionStep(
                conv=self._up1, source=self._fused.at(), target=double.at(), skipped=first, shuffled=True
            )
            self._strips.append(_Strip(Program(self._library, [step, *rest]), done, end, first))
            done = end
        self._shape = (height, width)


def _features_first(conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution of picture and features, its input channels as features, picture."""
    turned = nn.Conv2d(conv.in_channels, conv.out_channels, 3, padding=1)
    weight = conv.weight.detach()
    turned.weight = nn.Parameter(torch.cat((weight[:, 3:], weight[:, :3]), 1), requires_grad=False)
    turned.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach(), requires_grad=False)
    return turned


def _phases(conv: nn.Conv2d, wide: int) -> nn.Conv2d:
    """The convolution ahead of a pixel shuffle, its outputs as [2×2 pixels][features padded to ``wide``]."""
    feat = conv.out_channels // 4
    padded = -(-feat // wide) * wide
    weight, bias = torch.zeros(4, padded, *conv.weight.shape[1:]), torch.zeros(4, padded)
    weight[:, :feat] = conv.weight.detach().view(feat, 4, *conv.weight.shape[1:]).transpose(0, 1)
    if conv.bias is not None:
        bias[:, :feat] = conv.bias.detach().view(feat, 4).T
    turned = nn.Conv2d(conv.in_channels, 4 * padded, 3, padding=1)
    turned.weight = nn.Parameter(weight.flatten(0, 1), requires_grad=False)
    turned.bias = nn.Parameter(bias.flatten(), requires_grad=False)
    return turned

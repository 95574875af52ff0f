"""RRDBNet, the generator of ESRGAN, in its plain form: training uses it, and every fast form is tested against it.

Source: Wang et al., "ESRGAN", arXiv 1809.00219, figures 3 and 4; key names as in BasicSR.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models import graph
from vidsr.models.architecture import Architecture, NcnnLayer, Recognised, State, required
from vidsr.models.graph import Graph

NEGATIVE_SLOPE = 0.2
RESIDUAL_SCALE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RRDBNetConfig:
    """Hyper-parameters of an :class:`RRDBNet`; recognised from a checkpoint's shapes alone.

    ``folding`` is the factor of the pixel-unshuffle before the first convolution; None takes Real-ESRGAN's
    choice, 4 for x1, 2 for x2 and 1 above. Older x1 and x2 models have 1.
    """

    in_channels: int = 3
    out_channels: int = 3
    num_feat: int = 64
    num_block: int = 23
    num_grow_ch: int = 32
    scale: int = 4
    folding: int | None = None

    @property
    def unshuffle(self) -> int:
        """Factor of the pixel-unshuffle before the first convolution; 1 is none."""
        return {1: 4, 2: 2}.get(self.scale, 1) if self.folding is None else self.folding

    @property
    def upsamplings(self) -> int:
        """Number of nearest ×2 steps in the tail."""
        return (self.scale * self.unshuffle).bit_length() - 1


class ResidualDenseBlock(nn.Module):
    """Five densely connected 3×3 convolutions; the output, times 0.2, is added to the input.

    Input and output: ``[N, num_feat, H, W]``.
    """

    conv5: nn.Conv2d

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        for i in range(1, 6):
            out = num_feat if i == 5 else num_grow_ch
            setattr(self, f"conv{i}", nn.Conv2d(num_feat + (i - 1) * num_grow_ch, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for i in range(1, 5):
            conv = getattr(self, f"conv{i}")
            features.append(F.leaky_relu(conv(torch.cat(features, 1)), NEGATIVE_SLOPE))
        out: Tensor = self.conv5(torch.cat(features, 1)) * RESIDUAL_SCALE + x
        return out


class RRDB(nn.Module):
    """Residual in residual dense block: three dense blocks, their result times 0.2 added to the input."""

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb2 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb3 = ResidualDenseBlock(num_feat, num_grow_ch)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rdb3(self.rdb2(self.rdb1(x))) * RESIDUAL_SCALE + x
        return out


@dataclass(frozen=True, slots=True)
class DenseBlock:
    """A residual dense block as fast forms take it.

    ``convs`` are its five convolutions and ``name`` their prefix. Its result times ``scale`` is added to its input,
    or, for the last block of an RRDB (``closes``), to 0.2 of its input and all of the RRDB's: both residual scales
    are folded into one.
    """

    name: str
    convs: tuple[nn.Conv2d, ...]
    scale: float
    closes: bool


class RRDBNet(nn.Module):
    """The ESRGAN generator.

    Input ``[N, in_channels, H, W]``, RGB in [0, 1], not clamped; output ``[N, out_channels, H·scale, W·scale]``.
    Models for scale 1 and 2 first fold 4×4 or 2×2 pixels into channels (pixel-unshuffle, as Real-ESRGAN does),
    so H and W must be multiples of that factor; :meth:`forward` pads by reflection and crops where they are not.
    """

    def __init__(self, config: RRDBNetConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or RRDBNetConfig()
        feat = c.num_feat
        self.conv_first = nn.Conv2d(c.in_channels * c.unshuffle**2, feat, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(feat, c.num_grow_ch) for _ in range(c.num_block)))
        self.conv_body = nn.Conv2d(feat, feat, 3, padding=1)
        for i in range(1, c.upsamplings + 1):
            setattr(self, f"conv_up{i}", nn.Conv2d(feat, feat, 3, padding=1))
        self.conv_hr = nn.Conv2d(feat, feat, 3, padding=1)
        self.conv_last = nn.Conv2d(feat, c.out_channels, 3, padding=1)

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides."""
        return self.config.scale

    @property
    def ups(self) -> list[nn.Conv2d]:
        """The convolutions of the tail that follow a nearest ×2."""
        return [getattr(self, f"conv_up{i}") for i in range(1, self.config.upsamplings + 1)]

    def dense_blocks(self) -> Iterator[DenseBlock]:
        """All dense blocks in order, three to an RRDB."""
        for index, rrdb in enumerate(self.body):
            for number in (1, 2, 3):
                block = getattr(rrdb, f"rdb{number}")
                yield DenseBlock(
                    name=f"body.{index}.rdb{number}",
                    convs=tuple(getattr(block, f"conv{i}") for i in range(1, 6)),
                    scale=RESIDUAL_SCALE * (RESIDUAL_SCALE if number == 3 else 1.0),
                    closes=number == 3,
                )

    def forward(self, x: Tensor) -> Tensor:
        c = self.config
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, c.unshuffle)
        feat = self.conv_first(F.pixel_unshuffle(x, c.unshuffle) if c.unshuffle > 1 else x)
        feat = feat + self.conv_body(self.body(feat))
        for conv in self.ups:
            feat = F.leaky_relu(conv(F.interpolate(feat, scale_factor=2.0, mode="nearest")), NEGATIVE_SLOPE)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(feat), NEGATIVE_SLOPE))
        return out[..., : height * c.scale, : width * c.scale]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad the right and lower edge of ``[N, C, H, W]`` to multiples of ``multiple``, by reflection.

    Frames too small to reflect are padded by repeating the edge.
    """
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if not bottom and not right:
        return x
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)


_DENSE_CONVOLUTION = re.compile(r"\.[Rr][Dd][Bb]([123])\.conv([1-5])(?:\.0)?\.(weight|bias)$")


def _recognise(tensors: State, card: Mapping[str, str]) -> Recognised | None:
    """Three key layouts: BasicSR's, which the network has, and two that are renamed to it: the numbered
    ``model.N`` of the first ESRGAN code, and the ``RRDB_trunk`` names of the later one, of BSRGAN and RealSR."""
    if "conv_first.weight" in tensors and any(key.startswith("body.0.rdb1.") for key in tensors):
        return _recognised(dict(tensors), "BasicSR")
    if "conv_first.weight" in tensors and any(key.startswith("RRDB_trunk.0.") for key in tensors):
        return _recognised({_from_new(key): value for key, value in tensors.items()}, "new ESRGAN")
    if "model.0.weight" in tensors and any(key.startswith("model.1.sub.0.RDB1.") for key in tensors):
        rename = _from_old(tensors)
        return _recognised({rename(key): value for key, value in tensors.items()}, "old ESRGAN")
    return None


def _from_new(key: str) -> str:
    key = _DENSE_CONVOLUTION.sub(r".rdb\1.conv\2.\3", key.replace("RRDB_trunk.", "body.", 1))
    key = re.sub(r"^upconv(\d)\.", r"conv_up\1.", key)
    return key.replace("trunk_conv.", "conv_body.", 1).replace("HRconv.", "conv_hr.", 1)


def _from_old(tensors: State) -> Callable[[str], str]:
    """A renaming for the numbered layout: up convolutions at 3k, HR at the last up + 2, last at + 4."""
    numbers = sorted({int(m[1]) for key in tensors if (m := re.fullmatch(r"model\.(\d+)\.weight", key))})
    tops = {f"model.{number}": "conv_first" for number in numbers[:1]}
    ups = [n for n in numbers[1:-2] if n % 3 == 0]
    if len(numbers) < 3 or ups != [3 * k for k in range(1, len(numbers) - 2)]:
        raise CheckpointError(
            f"an old ESRGAN layout with convolutions at model.{numbers}, which is not one of its variants"
        )
    tops |= {f"model.{n}": f"conv_up{k}" for k, n in enumerate(ups, 1)}
    tops |= {f"model.{numbers[-2]}": "conv_hr", f"model.{numbers[-1]}": "conv_last"}

    def rename(key: str) -> str:
        inner = re.match(r"model\.1\.sub\.(\d+)\.(.*)$", key)
        if inner and _DENSE_CONVOLUTION.search(key):
            return _DENSE_CONVOLUTION.sub(r".rdb\1.conv\2.\3", f"body.{inner[1]}.{inner[2]}")
        if inner:
            return f"conv_body.{inner[2]}"
        top, _, rest = key.rpartition(".")
        return f"{tops.get(top, top)}.{rest}"

    return rename


def _recognised(state: State, layout: str) -> Recognised:
    blocks = {int(m[1]) for key in state if (m := re.match(r"body\.(\d+)\.rdb", key))}
    ups = {int(m[1]) for key in state if (m := re.match(r"conv_up(\d+)\.weight", key))}
    first, last = state["conv_first.weight"], required(state, "conv_last.weight")
    dense = required(state, f"body.{min(blocks, default=0)}.rdb1.conv1.weight")
    if {first.ndim, last.ndim, dense.ndim} != {4} or ups != set(range(1, len(ups) + 1)):
        raise CheckpointError("an RRDBNet whose convolutions are not 3x3 two-dimensional ones, or are not all there")
    out = last.shape[0]
    folding = {4: 2, 16: 4}.get(first.shape[1] // out, 1) if first.shape[1] % out == 0 else 1
    scale = 2 ** len(ups) // folding
    if scale not in (1, 2, 4, 8):
        raise CheckpointError(
            f"an RRDBNet with {len(ups)} upsampling steps after folding by {folding}, expected x1, x2, x4 or x8"
        )
    config = RRDBNetConfig(
        in_channels=first.shape[1] // folding**2,
        out_channels=out,
        num_feat=first.shape[0],
        num_block=len(blocks),
        num_grow_ch=dense.shape[0],
        scale=scale,
        folding=None if folding == RRDBNetConfig(scale=scale).unshuffle else folding,
    )
    return Recognised("RRDBNet", config, layout, state)


def _ncnn_names(layers: Sequence[NcnnLayer], count: int) -> list[str] | None:
    """By their order: ncnn files have no names of tensors. An Interp that shrinks follows the network's own layers
    and is not part of it."""
    ups = sum(layer.kind == "Interp" and float(layer.params.get(1, "1")) >= 1 for layer in layers)
    blocks, rest = divmod(count - 4 - ups, 15)
    if rest or blocks < 1 or any(layer.kind == "PixelShuffle" for layer in layers):
        return None
    names = ["conv_first"]
    names += [f"body.{b}.rdb{r}.conv{c}" for b in range(blocks) for r in (1, 2, 3) for c in range(1, 6)]
    return [*names, "conv_body", *(f"conv_up{i}" for i in range(1, ups + 1)), "conv_hr", "conv_last"]


def _graph(network: RRDBNet) -> Graph:
    c = network.config
    made = Graph(c.in_channels, c.out_channels)

    def conv(name: str, layer: nn.Conv2d, x: int, *, leaky: bool = False) -> int:
        return made.add(graph.Convolution(name, layer, NEGATIVE_SLOPE if leaky else None), x)

    x = made.add(graph.Unshuffle(c.unshuffle), 0) if c.unshuffle > 1 else 0
    first = before = trunk = conv("conv_first", network.conv_first, x)
    for block in network.dense_blocks():
        features = [trunk]
        for i, layer in enumerate(block.convs, 1):
            joined = made.add(graph.Concat(), *features) if i > 1 else trunk
            features.append(conv(f"{block.name}.conv{i}", layer, joined, leaky=i < 5))
        trunk = made.add(graph.Sum((RESIDUAL_SCALE, 1.0)), features[-1], trunk)
        if block.closes:
            before = trunk = made.add(graph.Sum((RESIDUAL_SCALE, 1.0)), trunk, before)
    x = made.add(graph.Sum(), first, conv("conv_body", network.conv_body, trunk))
    for i, layer in enumerate(network.ups, 1):
        x = conv(f"conv_up{i}", layer, made.add(graph.Enlarge(2), x), leaky=True)
    conv("conv_last", network.conv_last, conv("conv_hr", network.conv_hr, x, leaky=True))
    return made


def _overlap_px(network: RRDBNet) -> int:
    """Measured on photographs: 6 blocks need 96 px for 65 dB against whole frames, 23 blocks reach 77 dB with 128."""
    return 96 if network.config.num_block <= 8 else 128


RRDBNET = Architecture(
    name="RRDBNet",
    known_as="RRDBNet (ESRGAN, BSRGAN, RealSR, Real-ESRGAN)",
    network=RRDBNet,
    build=RRDBNet,
    recognise=_recognise,
    overlap_px=_overlap_px,
    # Results depend on pixels hundreds of px away; what lies beyond this changes them too little to be seen.
    reach_px=lambda network: _overlap_px(network) // 2,
    multiple=lambda network: network.config.unshuffle,
    graph=_graph,
    ncnn_names=_ncnn_names,
)

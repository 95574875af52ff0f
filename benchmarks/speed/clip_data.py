"""Does the loading of clips keep up with a small recurrent network? Time of both, and the share of waiting in a loop.

    python -m benchmarks.speed.clip_data DATASET          # DATASET: vidsr dataset make film.mkv DATASET --clips 20

First the CPU time of one thread for an example, by recipe, and for the network's share of a step (forward and backward,
truncated nowhere); their ratio says how many loading processes one training process needs. Then a loop as the trainer
has it, with loading processes: the share of its time that is not spent waiting for data. On a machine that others use
the CPU times hold, the share of the loop is a lower bound.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from vidsr.models.architectures.recurrent_compact import RecurrentCompact, folded
from vidsr.models.architectures.srvgg import SRVGGNetCompactConfig
from vidsr.training.dataset.clips.clip_loader import Clips
from vidsr.training.dataset.clips.clip_store import ClipStore
from vidsr.training.dataset.loader import Draw, StepShare, batches
from vidsr.training.degradation.options import (
    CodecOptions,
    DegradationOptions,
    FilmOptions,
    OverTimeOptions,
    TapeOptions,
)
from vidsr.training.options import DataOptions

SCALE = 4
RECIPES = {
    "bicubic": DegradationOptions(),
    "second_order": DegradationOptions(recipe="second_order"),
    "second_order, codec, tape, film, shake": DegradationOptions(
        recipe="second_order",
        codec=CodecOptions(chance=0.6),
        tape=TapeOptions(
            interlace_chance=0.05,
            bleed_chance=0.2,
            noise_chance=0.2,
            jitter_chance=0.1,
            composite_chance=0.1,
            dropout_chance=0.1,
        ),
        film=FilmOptions(dust_chance=0.2, scratch_chance=0.15, grain_chance=0.3, breathing_chance=0.1),
        over_time=OverTimeOptions(shake_chance=0.3, flicker_chance=0.2, tracking_chance=0.05),
    ),
}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--layers", type=int, default=16, help="convolutions of 64 channels")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = DataOptions(frames=args.frames, patch=args.patch, batch=1, workers=args.workers)
    store = ClipStore(args.dataset)
    network = RecurrentCompact(SRVGGNetCompactConfig(num_conv=args.layers, scale=SCALE))
    low, high = Clips(store, data, RECIPES["bicubic"], Draw(seed=0, stage="psnr", scale=SCALE))[0, 0]
    _step(network, low[None], high[None])
    begin = time.process_time()
    for _ in range(3):
        _step(network, low[None], high[None])
    of_network = (time.process_time() - begin) / 3
    print(f"{args.frames} frames of {args.patch} px, {args.layers} convolutions; CPU time for one clip")
    print(f"network, forward and backward: {of_network * 1e3:.0f} ms")
    for name, recipe in RECIPES.items():
        clips = Clips(store, data, recipe, Draw(seed=0, stage="psnr", scale=SCALE))
        clips[0, 0]
        begin = time.process_time()
        for place in range(10):
            clips[1, place]
        spent = (time.process_time() - begin) / 10
        print(f"{name}: {spent * 1e3:.0f} ms, {spent / of_network:.2f} of the network")
    clips = Clips(store, data, list(RECIPES.values())[-1], Draw(seed=0, stage="psnr", scale=SCALE))
    feed = batches(clips, data, StepShare(start=0, stop=args.steps + 1))
    _step(network, *next(feed))  # the processes have started
    waited, begin = 0.0, time.perf_counter()
    for _ in range(args.steps):
        asked = time.perf_counter()
        low, high = next(feed)
        waited += time.perf_counter() - asked
        _step(network, low, high)
    whole = time.perf_counter() - begin
    share = 100 * (1 - waited / whole)
    print(
        f"loop of {args.steps} steps, {args.workers} loading process(es): {share:.1f} % of {whole:.1f} s in the network"
    )


def _step(network: RecurrentCompact, low: Tensor, high: Tensor) -> None:
    """Forward and backward through all frames of ``[B, T, 3, h, w]``; the result is carried without motion."""
    low, high = low.float() / 255, high.float() / 255
    loss = torch.zeros(())
    last: Tensor | None = None
    for picture, wanted in zip(low.unbind(1), high.unbind(1), strict=True):
        known = None if last is None else folded(picture, last, torch.ones_like(picture[:, :1]))
        last = network(picture if known is None else known)
        loss = loss + (last - wanted).abs().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()

"""Losses of clips: warping and ping-pong. Clips are ``[N, T, 3, H, W]``, RGB in 0..1; losses are scalars in fp32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.flow import luma, optical_flow, resize_flow, warp

#: α of the warping loss, for pictures in 0..1, as published.
ALPHA = 50.0


def warping(results: Tensor, guide: Tensor) -> Tensor:
    """L = mean over t of E [M_t · \\|x_t − W(x_{t−1})\\|], M_t = exp(−α ‖g_t − W(g_{t−1})‖²), α = 50.

    W carries a frame along the motion from t to t − 1 that is found in ``guide``, the same clip without damage,
    ``[N, T, 3, h, w]``, of the results' size or smaller; M, small where the motion is wrong or something is hidden, is
    enlarged linearly. The guide gets no gradient.

    Source: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, equations 2 and 3.
    """
    total = results.new_zeros(())
    size = (results.shape[-2], results.shape[-1])
    for t in range(1, results.shape[1]):
        with torch.no_grad():
            now, before = guide[:, t].float(), guide[:, t - 1].float()
            motion = optical_flow(luma(now), luma(before))
            seen = torch.exp(-ALPHA * (now - warp(before, motion)).square().sum(1, keepdim=True))
            seen = F.interpolate(seen, size=size, mode="bilinear", align_corners=False)
            motion = resize_flow(motion, size, "bicubic")
        carried = warp(results[:, t - 1].float(), motion)
        total = total + (seen * (results[:, t].float() - carried).abs()).mean()
    return total / max(1, results.shape[1] - 1)


def ping_pong(there: Tensor, back: Tensor) -> Tensor:
    """L = mean over t of E \\|x_t − x'_t\\|: a frame reached forwards in time, and again on the way back, is the same.

    ``there`` are the results of frames 1 … T, ``back`` those of the same frames, in the same order, as a network makes
    them that goes on from T to T − 1 … 1; both ``[N, T, 3, H, W]``. The turning point T counts as it is: 0 there.

    Source: Chu et al., "Learning Temporal Coherence via Self-Supervision for GAN-based Video Generation" (TecoGAN),
    ACM TOG 39(4), 2020, section 4.2 and its L_PP; with L1 as in the published code.
    """
    return F.l1_loss(there.float(), back.float())


def mirrored(clip: Tensor) -> Tensor:
    """Frames 1 … T, then T − 1 … 1: ``[N, 2T − 1, …]``, for a ping-pong."""
    return torch.cat((clip, clip[:, :-1].flip(1)), 1)

"""Blend a trained recurrent model with the still model that it came from; its new layers stay as they are.

    python -m scripts.blend_with_still trained.safetensors realesr-general-x4v3 out.safetensors --trained-share 0.5

Fine-tuned weights averaged with those before are often better than either, above all on material unlike that of the
training (Wortsman et al., Robust fine-tuning of zero-shot models, arXiv 2109.01903, section 3).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from vidsr.models import checkpoint
from vidsr.models.architectures.recurrent_compact import from_still
from vidsr.models.saving import save
from vidsr.models.zoo import load_model


def main() -> None:
    """Read the arguments, write the blend with the card of the trained model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained", type=Path)
    parser.add_argument("still", help="a model's name or file")
    parser.add_argument("out", type=Path)
    parser.add_argument("--trained-share", type=float, default=0.5, help="0 is the still model, 1 the trained one")
    wanted = parser.parse_args()
    tensors, card = checkpoint.read_tensors(wanted.trained)
    network = load_model(wanted.still).network
    shared = network.state_dict().keys()
    before = from_still(network).state_dict()
    blended = {
        name: torch.lerp(before[name].float(), tensor.float(), wanted.trained_share) if name in shared else tensor
        for name, tensor in tensors.items()
    }
    save(wanted.out, blended, {**card, "blended": f"{wanted.trained_share:g} of it, the rest {wanted.still}"})


if __name__ == "__main__":
    main()

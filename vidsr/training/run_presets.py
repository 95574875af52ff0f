"""Starting points for a run: published schedules, and this project's own for small machines and for video."""

from __future__ import annotations

from dataclasses import replace

from vidsr.errors import OptionsError
from vidsr.training.degradation.options import CodecOptions, DegradationOptions, FilmOptions, TapeOptions
from vidsr.training.options import (
    DataOptions,
    DistilOptions,
    GanOptions,
    GeneratorOptions,
    RunOptions,
    StageOptions,
    TrainOptions,
    ValidationOptions,
)

_HALVED = (200_000, 400_000, 600_000, 800_000)
_SOFT_LAYERS = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}

_ESRGAN = TrainOptions(
    psnr=StageOptions(milestones=_HALVED),
    gan=GanOptions(vgg="vgg19"),
)

_REALESRGAN = TrainOptions(
    data=DataOptions(patch=256, margin=72, batch=12, turn=False, workers=8),
    degradation=DegradationOptions(recipe="second_order"),
    psnr=StageOptions(sharpen_target=True),
    gan=GanOptions(
        vgg="vgg19",
        layers=_SOFT_LAYERS,
        discriminator="unet",
        loss="vanilla",
        gan_weight=0.1,
        pixel_weight=1.0,
        milestones=(),
        sharpen_target=True,
    ),
)

_ARCHIVAL = replace(
    _REALESRGAN,
    degradation=DegradationOptions(
        recipe="second_order",
        codec=CodecOptions(chance=0.4),
        tape=TapeOptions(interlace_chance=0.1, bleed_chance=0.3, noise_chance=0.4, jitter_chance=0.2),
        film=FilmOptions(dust_chance=0.3, scratch_chance=0.15, grain_chance=0.5),
    ),
)

# Half an hour on two CPU cores. Small patches: many small steps get further than few large ones at first.
_TINY = TrainOptions(
    run=RunOptions(threads=1, log_every=25, validate_every=250, checkpoint_every=250),
    data=DataOptions(patch=64, batch=6, workers=0),
    generator=GeneratorOptions(num_feat=24, num_block=2, num_grow_ch=16, ema=0.998),
    psnr=StageOptions(steps=3600, learning_rate=1.5e-3, warmup=40, schedule="cosine", floor=0.005),
    gan=GanOptions(
        steps=500,
        learning_rate=8e-4,
        discriminator_rate=0.25,
        warmup=10,
        gan_weight=1e-2,
        pixel_weight=0.5,
        perceptual_weight=0.05,
        milestones=(),
        schedule="cosine",
        discriminator="unet",
        discriminator_feat=16,
        vgg="lpips-vgg16",
        layers={"conv1_2": 0.1, "conv2_2": 0.2, "conv3_3": 1.0},
    ),
    validation=ValidationOptions(),
)

# For clips: realesr-general-x4v3 made recurrent. Its new layers begin at zero and learn faster than the others.
_COMPACT = GeneratorOptions(
    architecture="RecurrentCompact", num_block=32, start_from="realesr-general-x4v3", new_rate=10.0, ema=0.999
)
_CLIPS = DataOptions(frames=10, patch=128, margin=32, batch=4, turn=False, workers=4)
_CODECS = DegradationOptions(recipe="second_order", codec=CodecOptions(chance=0.8))
_STEADY = StageOptions(
    steps=100_000,
    learning_rate=1e-4,
    warmup=100,
    schedule="cosine",
    floor=0.01,
    clip=1.0,
    pixel="charbonnier",
    lpips_weight=0.3,
    warping_weight=1.0,
    through=5,
)

_RECURRENT = TrainOptions(
    run=RunOptions(validate_every=1000, checkpoint_every=1000),
    data=_CLIPS,
    degradation=_CODECS,
    generator=_COMPACT,
    psnr=_STEADY,
    gan=GanOptions(steps=0, perceptual_weight=0.0, discriminator="unet", milestones=()),
)

# TecoGAN's second stage: triplets of frames, ping-pong; the whole clip there and back at once.
_REAL_VIDEO = replace(
    _RECURRENT,
    degradation=replace(
        _ARCHIVAL.degradation,
        codec=CodecOptions(chance=0.7),
    ),
    gan=GanOptions(
        steps=50_000,
        learning_rate=5e-5,
        warmup=100,
        milestones=(),
        schedule="cosine",
        clip=1.0,
        discriminator="triplets",
        loss="vanilla",
        gan_weight=0.05,
        pixel="charbonnier",
        pixel_weight=1.0,
        perceptual_weight=1.0,
        vgg="lpips-vgg16",
        layers={"conv1_2": 0.1, "conv2_2": 0.1, "conv3_3": 1.0, "conv4_3": 1.0},
        warping_weight=1.0,
        ping_pong_weight=0.5,
        artefact_weight=1.0,
    ),
)

_FAITHFUL = replace(
    _RECURRENT,
    degradation=DegradationOptions(recipe="bicubic"),
    psnr=replace(_STEADY, lpips_weight=0.0, frequency_weight=0.1, consistency_weight=0.5, warping_weight=0.5),
)

_DISTIL = replace(
    _RECURRENT,
    psnr=replace(_STEADY, lpips_weight=0.1),
    distil=DistilOptions(teacher="realesrgan-x4plus", as_it_is=True),
)

#: name → (options, one line of advice)
PRESETS: dict[str, tuple[TrainOptions, str]] = {
    "esrgan": (_ESRGAN, "as published: clean bicubic, L1 for 1M steps, then relativistic GAN for 400k"),
    "realesrgan": (_REALESRGAN, "as published: second-order degradations, U-Net discriminator"),
    "archival": (_ARCHIVAL, "realesrgan, with codecs, tape and film: for old video"),
    "tiny": (_TINY, "a small network for two CPU cores: to try everything within an hour"),
    "recurrent": (_RECURRENT, "clips: realesr-general-x4v3 takes its last result, against codecs; no discriminator"),
    "real-video": (_REAL_VIDEO, "clips: recurrent, with tape and film, then with a discriminator that sees time"),
    "faithful": (_FAITHFUL, "clips: recurrent, for clean sources; invents nothing"),
    "distil": (_DISTIL, "clips without originals: recurrent, learns from a large model, steadied"),
}


def preset_options(name: str) -> TrainOptions:
    """The options of a preset.

    Raises:
        OptionsError: the preset is unknown.
    """
    if name not in PRESETS:
        raise OptionsError(f"--preset {name}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name][0]

"""All options of training, as the tables of one TOML file. ``vidsr train init`` writes it with every field explained.

Lengths are in pixels, learning rates per step of Adam, probabilities between 0 and 1. The degradations' own tables
are in :mod:`vidsr.training.degradation.options`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from vidsr.options.schema import Options, opt, weights
from vidsr.training.degradation.options import DegradationOptions

#: All convolutions of VGG19; VGG16 lacks conv3_4, conv4_4 and conv5_4.
PERCEPTUAL_LAYERS = tuple(
    f"conv{block}_{i + 1}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for i in range(count)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(Options):
    """Folder, device, precision and logging of the run."""

    folder: str = opt("runs/train", "Folder of this run, for checkpoints and logs; relative to the working directory.")
    seed: int = opt(0, "Random seed.", between=(0, 2**31 - 1))
    device: str = opt("auto", "Device to compute on: auto, cpu, cuda, cuda:1, mps.")
    precision: str = opt(
        "fp32", "Numeric precision of the networks; losses stay in fp32.", choices=("fp32", "bf16", "fp16")
    )
    channels_last: bool = opt(True, "Keep pictures as NHWC in memory: about twice as fast for these networks.")
    compile: bool = opt(False, "Compile the generator with torch.compile: slower to start, then faster.")
    threads: int = opt(0, "CPU threads of the networks; 0 uses torch's default.", between=(0, 1024))
    log_every: int = opt(50, "Steps between lines in the log.", between=(1, None))
    validate_every: int = opt(5000, "Steps between validations.", between=(1, None))
    checkpoint_every: int = opt(5000, "Steps between checkpoints.", between=(1, None))
    keep: int = opt(
        3, "Number of newest checkpoints to keep per stage; the best one is always kept.", between=(1, None)
    )
    tensorboard: bool = opt(True, "Write TensorBoard files if it is installed (extra `train`).")
    skip_limit: int = opt(
        50, "Stop after this many steps in a row with a loss that is not a finite number.", between=(1, None)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions(Options):
    """The training data."""

    dataset: str = opt("", "Folder made by `vidsr dataset make`.")
    frames: int = opt(
        1,
        "Consecutive frames of an example; more than 1 needs clips, made by `vidsr dataset make --clips`.",
        between=(1, 120),
    )
    patch: int = opt(128, "Side of a high-resolution patch.", between=(16, 1024))
    margin: int = opt(
        16,
        "High-resolution pixels around a patch that are degraded with it and then cut off, to avoid edge artefacts.",
        between=(0, 256),
    )
    batch: int = opt(16, "Patches per step in each process.", between=(1, 4096))
    accumulate: int = opt(1, "Batches to accumulate per optimiser step.", between=(1, 1024))
    flip: bool = opt(True, "Randomly mirror patches horizontally.")
    turn: bool = opt(True, "Randomly mirror vertically and rotate by 90 degrees: with flip, eight variants.")
    workers: int = opt(2, "Processes that read and degrade patches; 0 uses the training process.", between=(0, 128))


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorOptions(Options):
    """The network that is trained."""

    architecture: str = opt(
        "RRDBNet",
        "Kind of network. RecurrentCompact takes its last result, BasicVSR sees all frames of a clip: both need clips; "
        "the others see single frames. BasicVSR enlarges by 4 alone, EFDN by 2, 3 or 4.",
        choices=("RRDBNet", "SRVGGNetCompact", "RecurrentCompact", "EFDN", "BasicVSR"),
    )
    scale: int = opt(4, "Scale factor; 3 is for compact networks and EFDN.", choices=(1, 2, 3, 4, 8))
    num_feat: int = opt(64, "Channels of the trunk.", between=(1, 1024))
    num_block: int = opt(
        23,
        "RRDB blocks; the convolutions between the first and the last one of compact networks; the cells of EFDN; the "
        "residual blocks of BasicVSR in each direction.",
        between=(1, 256),
    )
    num_grow_ch: int = opt(
        32, "Channels that each dense convolution of RRDBNet adds; those of EFDN's attention.", between=(1, 1024)
    )
    start_from: str | None = opt(
        None,
        "Model to start from, a name or a file; must have exactly this structure. RecurrentCompact starts from an "
        "SRVGGNetCompact, too, and first computes what that does.",
    )
    new_rate: float = opt(
        1.0,
        "Learning rate of the layers that RecurrentCompact has beyond SRVGGNetCompact, as a multiple.",
        between=(0, 1000),
    )
    init_scale: float = opt(0.1, "Factor on the Kaiming initialisation of dense and residual blocks.", between=(0, 10))
    ema: float = opt(
        0.999, "Decay of the averaged weights, which are exported; 0 disables averaging.", between=(0, 0.99999)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions(Options):
    """Length, learning-rate schedule and losses of a stage. A weight of 0 leaves a loss out."""

    steps: int = opt(1_000_000, "Steps of this stage; 0 skips it.", between=(0, None))
    learning_rate: float = opt(2e-4, "Adam's learning rate after warm-up.", between=(0, 1))
    warmup: int = opt(0, "Steps over which the learning rate rises from 0.", between=(0, None))
    schedule: str = opt(
        "steps", "Halve the rate at milestones, or decay it along a cosine to `floor`.", choices=("steps", "cosine")
    )
    milestones: tuple[int, ...] = opt((), "Steps at which `steps` halves the rate.", between=(1, None))
    floor: float = opt(0.0, "Final rate of `cosine`, as a fraction of learning_rate.", between=(0, 1))
    betas: tuple[float, float] = opt((0.9, 0.99), "Adam's two decay rates.", between=(0, 1))
    clip: float = opt(0.0, "Maximum gradient norm (L2 over all weights); 0 disables clipping.", between=(0, None))
    sharpen_target: bool = opt(
        False,
        "Sharpen (unsharp mask) the pictures to degrade, which are also the target of L1 and perceptual loss, as "
        "Real-ESRGAN does; the discriminator sees them unsharpened.",
    )
    pixel: str = opt("l1", "Loss of pixels.", choices=("l1", "charbonnier"))
    frequency_weight: float = opt(0.0, "Weight of the L1 loss of the Fourier transform.", between=(0, None))
    consistency_weight: float = opt(
        0.0, "Weight of the difference between the reduced result and the source; for clean sources.", between=(0, None)
    )
    lpips_weight: float = opt(0.0, "Weight of LPIPS on VGG16; needs `lpips-vgg16`.", between=(0, None))
    dists_weight: float = opt(
        0.0, "Weight of structure and texture on VGG16, as in DISTS; needs `lpips-vgg16`.", between=(0, None)
    )
    artefact_weight: float = opt(
        0.0, "Weight of the loss of artefacts (LDL); costs a pass of the averaged network.", between=(0, None)
    )
    warping_weight: float = opt(
        0.0, "Weight of the difference to the last result, carried along the motion; for clips.", between=(0, None)
    )
    ping_pong_weight: float = opt(
        0.0, "Weight of the difference between the way through a clip and the way back; for clips.", between=(0, None)
    )
    through: int = opt(0, "Frames over which gradients run back in time; 0 is the whole clip.", between=(0, 120))

    def cross_faults(self) -> Iterator[str]:
        """Warm-up and milestones lie inside the stage; a way back is as long as a clip."""
        if self.ping_pong_weight and self.through:
            yield f"through = {self.through}: ping_pong_weight needs through = 0, the whole clip there and back"
        if self.steps and self.warmup >= self.steps:
            yield f"warmup = {self.warmup}: must be shorter than the stage's {self.steps} steps"
        if self.betas[0] >= 1 or self.betas[1] >= 1:
            yield "betas: each must be below 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class GanOptions(StageOptions):
    """The second stage, with adversarial and perceptual loss."""

    steps: int = opt(400_000, "Steps of this stage; 0 skips it.", between=(0, None))
    learning_rate: float = opt(1e-4, "Adam's learning rate of the generator.", between=(0, 1))
    discriminator_rate: float = opt(
        1.0, "The discriminator's rate, as a multiple of the generator's.", between=(0, 100)
    )
    milestones: tuple[int, ...] = opt((50_000, 100_000, 200_000, 300_000), "Steps at which `steps` halves the rate.")
    discriminator: str = opt(
        "vgg128",
        "vgg128 accepts only 128×128 patches, unet any size; triplets judges three frames of a clip together.",
        choices=("vgg128", "unet", "triplets"),
    )
    discriminator_feat: int = opt(64, "Channels of the discriminator's first layer.", between=(4, 256))
    loss: str = opt("ragan", "Adversarial loss.", choices=("ragan", "vanilla", "lsgan"))
    gan_weight: float = opt(5e-3, "Weight of the adversarial loss.", between=(0, None))
    pixel_weight: float = opt(1e-2, "Weight of the L1 loss.", between=(0, None))
    perceptual_weight: float = opt(1.0, "Weight of the perceptual loss; 0 needs no VGG file.", between=(0, None))
    vgg: str = opt("", "VGG16 or VGG19 weights with torchvision's names: a name or a file.")
    layers: dict[str, float] = weights({"conv5_4": 1.0}, "Weights of the VGG layers compared.")  # noqa: RUF009

    def cross_faults(self) -> Iterator[str]:
        """Also checks the file and layers of the perceptual loss."""
        yield from StageOptions.cross_faults(self)
        for name in self.layers:
            if name not in PERCEPTUAL_LAYERS:
                yield f"layers: {name} is unknown; choose from {', '.join(PERCEPTUAL_LAYERS)}"
        if self.steps and self.perceptual_weight and not self.vgg:
            yield "vgg: give a VGG16 or VGG19 file for the perceptual loss, or set perceptual_weight = 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilOptions(Options):
    """A teacher, whose result takes the place of the originals."""

    teacher: str = opt("", "Model that enlarges what the network sees, a name or a file; empty: the originals count.")
    stabilize: float = opt(0.8, "How far the teacher's result is steadied along the motion.", between=(0, 1))
    neighbours: float = opt(
        0.0,
        "Share of basicvsr-bd-x4, which sees neighbouring frames; for clean footage.",
        between=(0, 1),
    )
    as_it_is: bool = opt(
        False,
        "The footage of the dataset, at its own size and with the damage that it has, is what the network sees; else "
        "[degradation] makes that of it.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOptions(Options):
    """Validation during training."""

    folder: str = opt(
        "", "Folder with *_HR.png and *_LR.png pairs, or of pictures to reduce; empty disables validation."
    )
    tile: int = opt(192, "Side of the low-resolution tiles used in validation.", between=(32, 4096))
    limit: int = opt(20, "Maximum number of pictures.", between=(1, None))
    clips: str = opt("", "Folder of a dataset of clips to measure on in time; empty disables it.")
    clip_limit: int = opt(8, "Maximum number of clips.", between=(1, None))
    vmaf: bool = opt(False, "Also measure VMAF of the clips.")
    lpips: str = opt("", "Also measure LPIPS with this network; empty disables it.", choices=("", "alex", "vgg16"))
    pictures: int = opt(4, "Number of pictures to show in TensorBoard.", between=(0, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions(Options):
    """Options of one training run. Made by `vidsr train init`; unknown keys are rejected."""

    run: RunOptions = field(default_factory=RunOptions)
    data: DataOptions = field(default_factory=DataOptions)
    degradation: DegradationOptions = field(default_factory=DegradationOptions)
    generator: GeneratorOptions = field(default_factory=GeneratorOptions)
    psnr: StageOptions = field(default_factory=StageOptions)
    gan: GanOptions = field(default_factory=GanOptions)
    distil: DistilOptions = field(default_factory=DistilOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)

    def cross_faults(self) -> Iterator[str]:
        """Contradictions between tables."""
        if self.data.patch % (self.generator.scale * 4):
            yield f"[data] patch = {self.data.patch}: must be a multiple of {self.generator.scale * 4} (4 × scale)"
        if self.data.margin % self.generator.scale:
            yield f"[data] margin = {self.data.margin}: must be a multiple of the scale, {self.generator.scale}"
        if self.gan.steps and self.gan.discriminator == "vgg128" and self.data.patch != 128:
            yield f'[data] patch = {self.data.patch}: vgg128 takes 128; or use discriminator = "unet"'
        yield from self._faults_of_clips()
        if not self.psnr.steps and not self.gan.steps:
            yield "[psnr] steps and [gan] steps are both 0: there is nothing to train"
        if not self.data.dataset:
            yield "[data] dataset: give the folder that `vidsr dataset make` made"

    def _faults_of_clips(self) -> Iterator[str]:
        """What needs several frames, and has fewer."""
        frames, generator = self.data.frames, self.generator
        if generator.architecture in ("RecurrentCompact", "BasicVSR") and frames < 2:
            yield f"[data] frames = {frames}: {generator.architecture} is trained on clips, give at least 2"
        if generator.architecture == "BasicVSR" and self.validation.folder:
            yield "[validation] folder: BasicVSR does not enlarge single pictures; measure on [validation] clips"
        scales = {"BasicVSR": (4,), "EFDN": (2, 3, 4), "RRDBNet": (1, 2, 4, 8)}.get(generator.architecture)
        if scales is not None and generator.scale not in scales:
            yield f"[generator] scale = {generator.scale}: must be one of {', '.join(map(str, scales))}"
        for name, stage in (("psnr", self.psnr), ("gan", self.gan)):
            weighed = [key for key in ("warping_weight", "ping_pong_weight") if getattr(stage, key)]
            if stage.steps and weighed and min(frames, stage.through or frames) < 2:
                yield f"[{name}] {weighed[0]}: needs clips, [data] frames and through of at least 2"
        if self.gan.steps and self.gan.discriminator == "triplets":
            length = min(frames, self.gan.through or frames)
            left = frames % length
            if length < 3:
                yield '[gan] discriminator = "triplets": judges three frames, give [data] frames and through at least 3'
            elif left in (1, 2):
                yield f"[gan] through = {self.gan.through}: leaves {left} of {frames} frames, triplets judge three"
        if self.distil.neighbours and (frames < 2 or generator.scale != 4):
            yield "[distil] neighbours: needs clips ([data] frames) and scale 4"


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOptions(Options):
    """How `vidsr dataset make` cuts a dataset."""

    title: ClassVar[str] = "Dataset"

    patch: int = opt(
        256, "Side of the stored patches, px; training cuts smaller ones from them.", between=(32, 1024), metavar="PX"
    )
    frames: int = opt(40, "Maximum number of frames from one video.", between=(1, 100_000))
    detail: float = opt(
        2.0, "Leave out patches with less detail (mean difference to the next pixel, 0 to 255).", between=(0, 255)
    )
    clips: int = opt(
        0,
        "Cut at most this many short clips from each video or picture, to train on motion; 0 cuts patches.",
        between=(0, 100_000),
    )
    length: int = opt(15, "Frames of a clip.", between=(7, 30), metavar="FRAMES")
    low: str | None = opt(None, "Folder of low-resolution twins: makes a paired dataset.", metavar="FOLDER")
    scale: int = opt(4, "Scale of the pairs.", between=(1, 8))
    strict: bool = opt(False, "Stop at the first source that cannot be used.", "--strict")

    def cross_faults(self) -> Iterator[str]:
        """Clips have no twins, and lie on a grid."""
        if self.clips and self.low:
            yield "--clips and --low: pairs are made of pictures, clips of videos"
        if self.clips and self.patch % 16:
            yield f"--patch {self.patch}: clips need a multiple of 16"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetOptions(Options):
    """What `vidsr dataset preview` shows."""

    title: ClassVar[str] = "Sheet"

    options_file: str | None = opt(None, "Options of the training run.", "--options", metavar="OPTIONS.toml")
    preset: str = opt(
        "realesrgan",
        "A preset to use instead of --options.",
        choices=("esrgan", "realesrgan", "archival", "tiny", "real-video", "recurrent", "faithful", "distil"),
    )
    rows: int = opt(6, "Rows of the sheet, with two examples each.", between=(1, 100))

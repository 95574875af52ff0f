"""Provenance records, stored next to results: sources, options, software, and what was not kept."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsr.codec_table import CODECS
from vidsr.errors import VerifyError, VidsrError
from vidsr.jobs.invention.master_name import MASTER_CODEC, master_of
from vidsr.jobs.neighbour_runs import is_used
from vidsr.media import image_sequence
from vidsr.media.encode.encoder_plan import encoder_build
from vidsr.media.joined import is_joined
from vidsr.media.libav import whole_recording
from vidsr.media.pictures.frame_files import picture_build
from vidsr.media.pictures.masks import MaskFolder
from vidsr.media.source_files import files_of
from vidsr.models.zoo import BETWEEN_MODEL, FACES_MODEL, FAITHFUL_MODEL, RECURRENT_MODEL, ZOO, load_chosen
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import os_errors, sha256_of, write_atomically
from vidsr.version import __version__

SCHEMA = "vidsr-provenance/1"
SUFFIX = ".provenance.json"
FOLDER_NAME = "vidsr-provenance.json"
_LIBRARIES = ("torch", "av", "numpy", "pillow", "tifffile", "safetensors")


def sidecar_of(result: Path) -> Path:
    """Where the record of a result lies: ``clip.x4.mkv.provenance.json``, or inside the folder of several files."""
    if image_sequence.is_pattern(result):
        return result.with_name(FOLDER_NAME)
    return result / FOLDER_NAME if result.is_dir() else result.with_name(result.name + SUFFIX)


def write(source: Path | str, result: Path, options: EnhanceOptions, facts: dict[str, Any]) -> Path:
    """Write the record of a finished job; returns its path.

    Args:
        source: what was enhanced; an address is recorded as such, without a digest.
        result: the file, folder or pattern that was made.
        options: of the job.
        facts: what the job returned, as plain values; its ``notes`` say what was not kept.

    Raises:
        JobError: a file cannot be read or the record cannot be written.
    """
    if options.source.join and Path(source).is_file():
        source = whole_recording(Path(source))
    model = load_chosen(options.model)
    entry = ZOO.get(options.model.model)
    codec = str(facts.get("codec") or options.encode.codec)
    record = {
        "schema": SCHEMA,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "source": _described(source, _members(Path(source), facts, "source")),
        "result": _described(result, _members(result, facts, "output")),
        "master": _master(facts),
        "not_kept": list(facts.get("notes", ())),
        "facts": {k: v for k, v in facts.items() if k not in ("notes", "pictures", "skipped", "changes")},
        "options": options.to_json() | {"encode": {**options.encode.to_json(), "codec": codec}},
        "model": {
            "name": options.model.model,
            "sha256": model.sha256,
            "architecture": model.architecture,
            "scale": model.scale,
            "licence": entry.licence if entry else model.card.get("licence"),
            "origin": entry.origin if entry else model.card.get("origin"),
        },
        "changes": facts.get("changes", []),
        "masks": _masks(options),
        "neighbours": _neighbours(options, facts),
        "held_to": _held_to(options),
        "held": _held(options, facts),
        "made_frames": _made(facts),
        "software": {
            "vidsr": __version__,
            "python": platform.python_version(),
            "encoder": _build(result, codec),
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        },
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }
    path = sidecar_of(result)
    write_atomically(path, (json.dumps(record, indent=1, ensure_ascii=False, default=str) + "\n").encode())
    return path


def _build(result: Path, codec: str) -> str | None:
    """The encoder of a result and its build; None for still pictures, which the libraries listed with it write."""
    if image_sequence.is_pattern(result):
        return picture_build(result.suffix.lower())
    return encoder_build(codec) if codec in CODECS else None


def _neighbours(options: EnhanceOptions, facts: dict[str, Any]) -> dict[str, Any] | None:
    """The recurrent network of ``--multiframe``, whose weights vidsr checks against this digest; None where no frame of
    the result comes from one."""
    used = [run for run in facts.get("neighbours", ()) if is_used(run[2])]
    if options.restore.multiframe == 0 or (options.restore.multiframe is None and not used):
        return None
    return _shipped(RECURRENT_MODEL)


def _master(facts: dict[str, Any]) -> dict[str, Any] | None:
    """The preservation master of ``--masters``, made in the same pass over the source; None without one."""
    if "master" not in facts:
        return None
    master = Path(facts["master"])
    return {**_described(master, [master]), "model": _shipped(FAITHFUL_MODEL), "encoder": encoder_build(MASTER_CODEC)}


def _held_to(options: EnhanceOptions) -> dict[str, Any] | None:
    """The network whose results ``--invent`` held this one to, whose weights vidsr checks against this digest; None
    without a limit."""
    return None if options.restore.invent == 1 else _shipped(FAITHFUL_MODEL)


def _shipped(name: str) -> dict[str, Any]:
    """A network that no option named."""
    entry = ZOO[name]
    return {"name": entry.name, "sha256": entry.sha256, "licence": entry.licence, "origin": entry.origin}


def _masks(options: EnhanceOptions) -> dict[str, Any] | None:
    """The masks that filters were held to; None without any."""
    if options.restore.masks is None:
        return None
    masks = MaskFolder.find(Path(options.restore.masks))
    return {"folder": str(masks.folder), "count": len(masks.files), "blake2": masks.digest()}


def _held(options: EnhanceOptions, facts: dict[str, Any]) -> dict[str, Any] | None:
    """Whether faces and text were held, and the networks that find faces and that text is mixed with; None where
    neither was."""
    faces, text = options.restore.faces, "hold" if facts.get("text_held") else "free"
    if "hold" not in (faces, text) or facts.get("kind") not in ("video", "sequence"):
        return None
    used = [FACES_MODEL] * (faces == "hold") + [FAITHFUL_MODEL] * (text == "hold")
    return {"faces": faces, "text": text, "networks": [_shipped(name) for name in used]}


def _made(facts: dict[str, Any]) -> dict[str, Any] | None:
    """The frames that ``--rate`` or refill made in between others, and the network that helped; None if there are
    none."""
    made = facts.get("made")
    if not made:
        return None
    return {**made, "network": _shipped(BETWEEN_MODEL) if made["frames"] else None}


def _members(path: Path, facts: dict[str, Any], side: str) -> list[Path]:
    """The files that a source or result consists of."""
    if image_sequence.is_pattern(path) or is_joined(path):
        return files_of(path)
    if path.is_dir():
        return [Path(r[side]) for r in facts.get("pictures", ())]
    return [path] if path.is_file() else []


def _described(place: Path | str, files: list[Path]) -> dict[str, Any]:
    here = Path(place)
    facts: dict[str, Any] = {"name": here.name if files else str(place)}
    if files == [here]:
        return facts | _file(here)
    return facts | {"files": [{"name": _relative(f, here), **_file(f)} for f in files]}


def _relative(file: Path, place: Path) -> str:
    base = place if place.is_dir() else place.parent
    return str(file.relative_to(base)) if base in file.parents else file.name


def _file(path: Path) -> dict[str, Any]:
    with os_errors("reading", path):
        modified = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
        return {
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
            "modified": modified.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceCheck:
    """One statement of a record, held against the files: ``ok``, or what was found instead."""

    what: str
    ok: bool
    text: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"what": self.what, "ok": self.ok, "text": self.text}


def check(source: Path, result: Path, record: Path) -> list[ProvenanceCheck]:
    """Hold the digests of a record against a source and a result.

    Raises:
        VerifyError: it is not a provenance record of vidsr.
    """
    try:
        recorded = json.loads(record.read_text(encoding="utf-8"))
        if recorded["schema"] != SCHEMA:
            raise ValueError(f"its schema is {recorded['schema']}")
        pairs = [*_pairs("source", recorded["source"], source), *_pairs("result", recorded["result"], result)]
        if recorded.get("master"):
            pairs += _pairs("master", recorded["master"], master_of(result))
        weights = (
            f"{recorded['model']['name']} ({recorded['model']['sha256'][:12]}…), vidsr {recorded['software']['vidsr']}"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerifyError(f"{record}: not a provenance record of vidsr ({error})") from error
    checks = [_compare(what, path, entry) for what, path, entry in pairs]
    return [*checks, ProvenanceCheck(what="made with", ok=True, text=weights)]


def made_of(record: Path) -> list[int] | None:
    """The numbers of the frames that a record lists as made in between others; None without a record or such a list."""
    if not record.is_file():
        return None
    try:
        made = json.loads(record.read_text(encoding="utf-8")).get("made_frames")
        return None if made is None else sorted(number for run in made["runs"] for number in range(*run))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerifyError(f"{record}: not a provenance record of vidsr ({error})") from error


def options_of(record: Path) -> EnhanceOptions:
    """The options that a record says its result was made with.

    Raises:
        VerifyError: it is not a provenance record of vidsr.
    """
    try:
        return EnhanceOptions.from_json(json.loads(record.read_text(encoding="utf-8"))["options"])
    except (OSError, ValueError, KeyError, TypeError, VidsrError) as error:
        raise VerifyError(f"{record}: not a provenance record of vidsr ({error})") from error


def _pairs(side: str, recorded: dict[str, Any], place: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    if "files" not in recorded:
        yield f"{side} digest", place, recorded
        return
    base = place if place.is_dir() else place.parent
    for entry in recorded["files"]:
        yield f"{side} {entry['name']}", base / entry["name"], entry


def _compare(what: str, path: Path, entry: dict[str, Any]) -> ProvenanceCheck:
    if "sha256" not in entry:
        return ProvenanceCheck(what=what, ok=True, text="an address: no digest was recorded")
    if not path.is_file():
        return ProvenanceCheck(what=what, ok=False, text=f"{path} is missing")
    found = sha256_of(path)
    if found == entry["sha256"]:
        return ProvenanceCheck(what=what, ok=True, text=f"sha256 {found[:16]}… as recorded")
    text = f"sha256 is {found[:16]}…, the record says {str(entry['sha256'])[:16]}…"
    return ProvenanceCheck(what=what, ok=False, text=text)

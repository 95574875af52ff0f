"""A report as one page of plain ASCII text, aligned, to read and to paste into a bug report."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vidsr.doctor.doctor_report import DoctorReport
from vidsr.storage import human_bytes

_COLUMNS, _LABEL = 110, 15
#: Calibrations that the page shows; there is one for each size of frame.
_CALIBRATIONS = 4


def page_of(report: DoctorReport) -> str:
    """The page: problems first, then what was found, what was tried, what will be used, and advice."""
    values = report.to_json()
    lines = [f"vidsr doctor: {'ready' if report.ready else 'NOT READY: vidsr enhance cannot run here'}"]
    for problem in values["problems"]:
        lines += _wrapped("problem", problem["what"]) + _wrapped("next step", problem["next_step"])
    lines += ["", "Found"]
    for label, text in _found(values["found"]):
        lines += _wrapped(label, text)
    lines += ["", "Tried"]
    width = max((len(trial["what"]) for trial in values["tried"]), default=0)
    absent = [trial["what"] for trial in values["tried"] if trial["result"] == "absent"]
    for trial in values["tried"]:
        if trial["result"] == "absent":
            continue
        lines += _wrapped(trial["result"], f"{trial['what']:{width}s}  {trial['detail']}", 8, width + 2)
    if absent:
        lines += _wrapped("absent", f"{', '.join(absent)}: no such hardware here", 8)
    lines += [] if values["tried"] else ["  nothing could be tried"]
    lines += ["", "Used by a plain vidsr enhance"]
    value_width = max((len(one["value"]) for one in values["used"].values()), default=0)
    for name, one in values["used"].items():
        lines += _wrapped(name, f"{one['value']:{value_width}s}  {one['because']}", hang=value_width + 2)
    lines += [] if values["used"] else ["  nothing: see the problems above"]
    if values["advice"]:
        lines += ["", "To do better"]
        for advice in values["advice"]:
            lines += _wrapped("-", advice, 2)
    return "\n".join(lines).encode("ascii", "backslashreplace").decode()


def _wrapped(label: str, text: str, width: int = _LABEL, hang: int = 0) -> list[str]:
    first = f"  {label:{width}s}"
    rest = " " * (len(first) + hang)
    flat = " ".join(text.splitlines()) if "\n" in text else text
    return textwrap.wrap(
        flat,
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [first.rstrip()]


def _found(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(label, text) of every line; a fact that is not there gives "not known"."""
    writers: dict[str, Callable[[Any], Iterator[tuple[str, str]]]] = {
        "software": _software,
        "cpu": _cpu,
        "memory": _memory,
        "torch": _torch,
        "winograd": _winograd,
        "libav": _libav,
        "programs": _programs,
        "weights": _weights,
    }
    for name, write in writers.items():
        fact = found.get(name)
        yield from write(fact) if fact else [(name, "not known")]
        if name == "torch":
            yield "triton", found.get("triton") or "not installed"
            yield from _gpus(found)
            yield from _calibrations(found.get("calibrations") or ())
    yield "extras", ", ".join(n for n, there in (found.get("extras") or {}).items() if there) or "none"
    for folder in found.get("folders") or ():
        state = "writable" if folder["writable"] else f"NOT writable: {folder['error']}"
        there = "" if folder["exists"] else ", not made yet"
        yield f"{folder['use']}", f"{folder['path'] or '?'} ({state}{there}, {_bytes(folder['free'])} free)"


def _software(fact: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield "vidsr", f"{fact['vidsr']}, {fact['python']}, {fact['bits']} bits"
    yield "platform", fact["platform"]


def _cpu(fact: dict[str, Any]) -> Iterator[tuple[str, str]]:
    limit = "" if fact["limit_cores"] is None else f", limited to {fact['limit_cores']:g} by a control group"
    yield "cpu", f"{fact['name']}, {fact['cores']} cores, {fact['usable_cores']} usable{limit}"
    yield "instructions", " ".join(fact["instruction_sets"]) or "not known"


def _memory(fact: dict[str, int | None]) -> Iterator[tuple[str, str]]:
    limit = "" if fact["limit"] is None else f", limited to {_bytes(fact['limit'])} by a control group"
    yield "memory", f"{_bytes(fact['free'])} free of {_bytes(fact['total'])}{limit}"


def _torch(fact: dict[str, Any]) -> Iterator[tuple[str, str]]:
    kind = f"CUDA {fact['cuda']}, cuDNN {fact['cudnn']}" if fact["cuda"] else "no CUDA"
    kind = f"ROCm {fact['rocm']}" if fact["rocm"] else kind
    yield "torch", f"{fact['version']} ({kind}), {fact['threads']} threads, {fact['cpu_kernels']} kernels on the CPU"
    built = fact["architectures"]
    if built:
        yield "torch for", built if isinstance(built, str) else " ".join(built)


def _gpus(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for gpu in found.get("nvidia") or ():
        memory = f"{_bytes(gpu['free'])} free of {_bytes(gpu['total'])}"
        yield (
            f"gpu {gpu['index']}",
            f"{gpu['name']}, compute capability {gpu['compute_capability']}, driver {gpu['driver']}, {memory}",
        )
    for gpu in found.get("gpus") or ():
        yield (
            gpu["device"],
            f"{gpu['name']} in PyTorch, compute capability {gpu['compute_capability'] or '-'}, "
            f"{_bytes(gpu['free'])} free of {_bytes(gpu['total'])}",
        )
    if found.get("nvidia") is None or ("gpus" in found and found["gpus"] is None):
        yield "gpu", "not known: see below"
    elif not found.get("nvidia") and not found.get("gpus"):
        yield "gpu", "none"


def _calibrations(fact: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The newest ones: each form with its time and its distance to fp32, or why it is not used."""
    for one in fact[-_CALIBRATIONS:]:
        forms = [
            f"{form['form']}: {form['problem']}"
            if form["problem"] or form["milliseconds"] is None
            else f"{form['form']} {form['milliseconds']:.1f} ms, {form['decibels']:.0f} dB"
            for form in one["tried"]
        ]
        when = f", {one['when']}" if one["when"] else ""
        yield "calibrated", f"{one['for']}: {one['chosen'] or 'nothing'} chosen ({'; '.join(forms)}){when}"
    if len(fact) > _CALIBRATIONS:
        yield "", f"and {len(fact) - _CALIBRATIONS} older calibrations: see --json"


def _winograd(fact: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "C compiler", fact["compiler"] or "none"
    yield "C kernels", "work" if fact["works"] else f"not used: {fact['reason']}"


def _libav(fact: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "PyAV", f"{fact['pyav']}, FFmpeg {fact['ffmpeg']}, libavcodec {fact['libavcodec']}, {fact['license']}"
    yield "decoders", " ".join(name for name, there in fact["decoders"].items() if there) or "none"
    missing = [name for name, there in fact["decoders"].items() if not there]
    if missing:
        yield "no decoders", " ".join(missing)
    yield "built for", " ".join(fact["hardware_decoders"]) or "no hardware decoding"


def _programs(fact: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, program in fact.items():
        yield name, "none" if program is None else f"{program['version']} ({program['path']})"


def _weights(fact: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    bad = [f"{one['name']}: {one['state']}" for one in fact if one["state"] != "ok"]
    good = sum(one["state"] == "ok" for one in fact)
    yield "weights", f"{good} of {len(fact)} shipped models are whole" + "".join(f"; {text}" for text in bad)


def _bytes(count: int | None) -> str:
    return "?" if count is None else human_bytes(count)

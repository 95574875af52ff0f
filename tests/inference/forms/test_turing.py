"""The own kernels compiled for Turing, which is not here: matrix instructions, and the same products as for sm_80."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("triton")

from triton import knobs

from tests.support.kernel_compilation import CHIPS, compiled, examined, faults, launches, tiling_for
from vidsr.inference.forms import turing

HALF = "#mma = #ttg.nvidia_mma<{versionMajor = 2, versionMinor = 0, instrShape = [16, 8]}>"


@pytest.fixture(autouse=True)
def own_hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(knobs.runtime, "add_stages_inspection_hook", None)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def products(ptx: str) -> list[Any]:
    """Each product of 8 channels: which sum it adds to, and which registers of which loads it multiplies."""
    origin: dict[str, Any] = {}
    sums: dict[str, int] = {}
    found, loads = [], 0
    for line in ptx.splitlines():
        if "ldmatrix" in line:
            for lane, register in enumerate(re.findall(r"%r\d+", line)[:4]):
                origin[register] = (loads, "trans" in line, lane)
            loads += 1
        elif "mma.sync" in line:
            result, a, b, added = (re.findall(r"%r\d+", group) for group in re.findall(r"\{([^}]*)\}", line))
            assert result == added
            number = sums.setdefault(result[0], len(sums))
            for k, register in enumerate(b):
                found.append((number, [origin[r] for r in a[2 * k : 2 * k + 2]], origin[register]))
    return found


@pytest.mark.long
def test_a_kernel_has_turings_instructions_and_the_products_of_sm_80() -> None:
    launch = next(one for one in launches(["x4plus"], tiling_for(75)) if one.name == "96→32 3×3")
    turings, amperes = (compiled(launch, arch) for arch in (75, 80))
    row = examined(turings)
    blocks = CHIPS[75].blocks(row["registers"], row["shared"], launch.warps)
    assert not list(faults(row, CHIPS[75], blocks)) and blocks >= 3
    assert "m16n8k8.row.col.f32.f16.f16.f32" in turings.asm["ptx"] and ".target sm_75" in turings.asm["ptx"]
    assert "m16n8k16" in amperes.asm["ptx"], "the other architectures are compiled as before"
    assert products(turings.asm["ptx"]) == products(amperes.asm["ptx"]) != []


@pytest.mark.parametrize(("name", "capability"), [("triton_poi_fused_add", 75), ("_convolve", 80), ("_convolve", 120)])
def test_no_other_kernel_and_no_other_gpu_is_changed(name: str, capability: int) -> None:
    turing.install()
    turing.install()  # for the next network
    module = SimpleNamespace(get_entry_func_name=lambda: name)
    stages = {"ttgir": lambda module, metadata: ("plain", module)}
    knobs.runtime.add_stages_inspection_hook(object(), stages, object(), object(), capability)
    assert stages["ttgir"](module, {}) == ("plain", module)
    key, digest = knobs.runtime.add_stages_inspection_hook()
    assert key and digest


def test_what_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then calibration leaves the form out, with this sentence."""
    monkeypatch.setattr(knobs.runtime, "add_stages_inspection_hook", lambda *_: ("a", "b"))
    with pytest.raises(RuntimeError, match="another hook"):
        turing.install()
    monkeypatch.setattr(turing, "knobs", SimpleNamespace(runtime=SimpleNamespace()))
    with pytest.raises(RuntimeError, match="install a newer one"):
        turing.install()
    for text in ("#blocked", HALF + "\nttg.async_copy_global_to_local"):
        with pytest.raises(RuntimeError, match="layouts have changed"):
            turing._as_turing(text)

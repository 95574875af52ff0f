"""PTX run on a CPU: what Triton compiled for a GPU that is not here, executed instruction by instruction.

The threads of a block run in step, each register being an array with one value per thread; blocks run one after the
other. Enough of the PTX ISA for the own kernels on sm_75 and sm_80: integers, fp32, loads and stores, ``ldmatrix``,
``mma.m16n8k8`` and ``mma.m16n8k16`` with fp16 factors and fp32 sums (sections "Warp-level matrix instructions").
Asynchronous copies are done at once, so that a missing wait for one is not noticed; nor is a missing barrier.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Values = np.ndarray[Any, np.dtype[Any]]

_LINE = re.compile(r"^(?:@(!?)(%p\d+)\s+)?([a-z][\w.:]*)\s*(.*);$")
_BASE = 1 << 16  # addresses below belong to nothing
_CONTROL = ("bra", "ret")


@dataclass(frozen=True)
class Instruction:
    """``guard``: the predicate (and whether it is negated) of ``name`` with its ``operands``."""

    guard: tuple[bool, str] | None
    name: tuple[str, ...]
    operands: tuple[str, ...]


class Program:
    """The instructions of the one kernel in ``text``, and where its labels are."""

    def __init__(self, text: str) -> None:
        self.parameters = re.findall(r"\.param \.(\w+)", text)
        self.code: list[Instruction] = []
        self.labels: dict[str, int] = {}
        for line in text[text.index("{", text.index(".entry")) :].splitlines():
            plain = line.split("//")[0].strip()
            if plain.endswith(":"):
                self.labels[plain[:-1]] = len(self.code)
            elif not plain.startswith(".") and (found := _LINE.match(plain)):
                guard = (found[1] == "!", found[2]) if found[2] else None
                self.code.append(Instruction(guard, tuple(found[3].split(".")), _operands(found[4])))


def _operands(text: str) -> tuple[str, ...]:
    """Split at the commas outside braces and brackets."""
    return tuple(part.strip() for part in re.split(r",(?![^{\[]*[}\]])", text) if part.strip())


class Memory:
    """Global memory: copies of the tensors' storages, written back by :meth:`write_back`."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._places: dict[int, tuple[int, torch.Tensor]] = {}
        end = 0
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._places:
                self._places[storage.data_ptr()] = (end, torch.empty(0, dtype=torch.uint8).set_(storage))
                end += -(-storage.nbytes() // 256) * 256
        self.bytes = np.zeros(end, np.uint8)
        for start, raw in self._places.values():
            self.bytes[start : start + len(raw)] = raw.numpy()

    def address(self, tensor: torch.Tensor) -> int:
        """Where the tensor's first value lies."""
        start = self._places[tensor.untyped_storage().data_ptr()][0]
        return _BASE + start + int(tensor.storage_offset()) * tensor.element_size()

    def write_back(self) -> None:
        """What the kernel wrote, into the tensors."""
        for start, raw in self._places.values():
            raw.copy_(torch.from_numpy(self.bytes[start : start + len(raw)]))


class Block:
    """One block of threads; ``parameters`` are the kernel's arguments as integers (floats as their bits)."""

    def __init__(self, memory: Memory, parameters: Sequence[int], threads: int, shared: int, place: Sequence[int]):
        self._memory, self._parameters, self._threads = memory, parameters, threads
        self._shared = np.zeros(shared, np.uint8)
        ones = np.ones(threads, np.int64)
        self._registers: dict[str, Values] = {"%tid.x": np.arange(threads), "global_smem": 0 * ones}
        self._registers |= {f"%ctaid.{axis}": n * ones for axis, n in zip("xyz", place, strict=False)}

    def run(self, program: Program) -> None:
        """From the first instruction to ``ret``.

        Raises:
            NotImplementedError: an instruction that this emulator does not know.
        """
        at = 0
        while True:
            one = program.code[at]
            active = self._active(one)
            at += 1
            if one.name[0] not in _CONTROL:
                self._execute(one, active)
                continue
            assert active.all() or not active.any(), "threads of a block go different ways"
            if active.all():
                if one.name[0] == "ret":
                    return
                at = program.labels[one.operands[0]]

    def _active(self, one: Instruction) -> Values:
        if one.guard is None:
            return np.ones(self._threads, bool)
        negated, predicate = one.guard
        return (self._registers[predicate] != 0) ^ negated

    def _execute(self, one: Instruction, active: Values) -> None:
        special = {"ld": self._move, "st": self._move, "cp": self._copy, "ldmatrix": self._load_matrices}
        if one.name[0] == "mma":
            self._multiply(one)
        elif one.name[0] in special and one.name[1] != "param":
            special[one.name[0]](one, active)
        elif one.name[0] != "bar":
            self._compute(one, active)

    def _compute(self, one: Instruction, active: Values) -> None:
        kind, (target, *sources) = one.name[-1], one.operands
        if one.name[0] == "ld":
            value = np.full(self._threads, self._parameters[int(re.findall(r"_param_(\d+)", sources[0])[0])])
        elif target.startswith("{"):  # a register into its halves
            whole = self._value(sources[0], kind)
            for n, part in enumerate(_registers(target)):
                self._set(part, (whole >> (16 * n)) & 0xFFFF, active)
            return
        else:
            value = self._computed(one.name, [self._value(s, kind) for s in sources])
        self._set(target, value, active)

    def _set(self, register: str, value: Values, active: Values) -> None:
        before = self._registers.get(register, np.zeros(self._threads, np.int64))
        self._registers[register] = np.where(active, value, before)

    def _value(self, operand: str, kind: str) -> Values:
        if operand.startswith("{"):
            low, high = (self._registers[r] for r in _registers(operand))
            return low | high << 16
        if operand in self._registers:
            return self._registers[operand]
        if operand.startswith("0f"):
            return np.full(self._threads, int(operand[2:], 16))
        return _unsigned(np.full(self._threads, int(operand, 0), np.int64), _bits(kind))

    def _computed(self, name: tuple[str, ...], given: list[Values]) -> Values:
        """The result of an arithmetic instruction, as the bits of its type."""
        kind, what = name[-1], ".".join(name[:-1])
        if name[-2] == "f16x2":  # the first source is the upper half
            return _converted("f16", kind, given[1]) | _converted("f16", kind, given[0]) << 16
        if name[0] == "cvt":
            return _converted(name[-2], kind, given[0])
        if name[0] == "selp":
            return np.where(given[2] != 0, given[0], given[1])
        if kind == "f32":
            values = [_floats(v) for v in given]
            if name[0] == "setp":
                return _COMPARED[name[1]](*values).astype(np.int64)
            return _from_floats(_FLOATS[what.removesuffix(".rn")](*values))
        bits = _bits(kind)
        if name[0] in ("and", "or", "xor", "not", "shl", "mov") or (name[0], kind[0]) == ("shr", "u"):
            return _unsigned(_BITWISE[name[0]](*given, bits), bits)
        numbers = [_signed(v, bits) if kind[0] == "s" else _unsigned(v, bits) for v in given]
        if name[0] == "setp":
            return _COMPARED[name[1]](*numbers).astype(np.int64)
        if name[0] == "mad":
            wide = 2 * bits if name[1] == "wide" else bits
            added = _signed(given[2], wide) if kind[0] == "s" else _unsigned(given[2], wide)
            return _unsigned(numbers[0] * numbers[1] + added, wide)
        if name[:2] == ("mul", "wide"):
            return _unsigned(numbers[0] * numbers[1], 2 * bits)
        if name[:2] == ("mul", "hi"):
            return _unsigned(numbers[0] * numbers[1] >> bits, bits)
        if name[0] == "bfe":
            found = (_unsigned(given[0], bits) >> given[1]) & ((1 << given[2]) - 1)
            half = 1 << (given[2] - 1)
            return _unsigned((found ^ half) - half if kind[0] == "s" else found, bits)
        if what not in _INTEGERS:
            raise NotImplementedError(".".join(name))
        return _unsigned(_INTEGERS[what](*numbers), bits)

    def _address(self, operand: str) -> tuple[Values, Values]:
        """The memory of a bracketed operand without its space, and offsets in it."""
        base, *more = operand.strip("[] ").replace(" ", "").split("+")
        offsets = self._registers[base] + sum(int(n, 0) for n in more)
        if base.startswith("%rd"):
            return self._memory.bytes, offsets - _BASE
        return self._shared, offsets

    def _move(self, one: Instruction, active: Values) -> None:
        target, source = one.operands if one.name[0] == "ld" else one.operands[::-1]
        registers = _registers(target)
        memory, offsets = self._address(source)
        size = _bits(one.name[-1]) // 8
        where = offsets[active, None] + np.arange(size * len(registers))
        assert not where.size or 0 <= where.min() <= where.max() < len(memory), f"{one}: out of bounds"
        if one.name[0] == "st":
            values = np.stack([self._registers[r][active] for r in registers], 1).astype(f"<u{size}")
            memory[where] = values.view(np.uint8)
            return
        values = np.ascontiguousarray(memory[where]).view(f"<u{size}")
        for n, register in enumerate(registers):
            everywhere = np.zeros(self._threads, np.int64)
            everywhere[active] = values[:, n]
            self._set(register, everywhere, active)

    def _copy(self, one: Instruction, active: Values) -> None:
        """``cp.async``: from global to shared memory, the rest of the bytes zero; or a wait, which needs nothing."""
        if len(one.operands) < 3:
            return
        (shared, to), (memory, start) = self._address(one.operands[0]), self._address(one.operands[1])
        size = int(one.operands[2], 0)
        taken = self._value(one.operands[3], "b32") if len(one.operands) > 3 else np.full(self._threads, size)
        for n in range(size):
            copied = active & (n < taken)
            shared[to[active] + n] = 0
            shared[to[copied] + n] = memory[start[copied] + n]

    def _load_matrices(self, one: Instruction, _: Values) -> None:
        """``ldmatrix.x4``: thread t gives the address of row t % 8 of matrix t // 8, of 8 × 8 values of 16 bits."""
        shared, offsets = self._address(one.operands[1])
        rows = np.ascontiguousarray(shared[offsets[:, None] + np.arange(16)]).view("<u2").reshape(-1, 4, 8, 8)
        if "trans" in one.name:
            rows = rows.transpose(0, 1, 3, 2)
        for n, register in enumerate(_registers(one.operands[0])):
            pairs = rows[:, n].reshape(-1, 32, 2).astype(np.int64)  # lane l: row l // 4, columns 2·(l % 4) and the next
            self._registers[register] = (pairs[..., 0] | pairs[..., 1] << 16).reshape(-1)

    def _multiply(self, one: Instruction) -> None:
        """``mma``: 16 × k times k × 8 of each warp, in fp32."""
        assert one.name[-4:] == ("f32", "f16", "f16", "f32") and one.name[-6:-4] == ("row", "col"), one
        sums, left, right, added = (_registers(operand) for operand in one.operands)
        a = [self._halves(r) for r in left]  # rows g and g + 8 of eight columns, then of the next eight
        b = [self._halves(r) for r in right]
        a16 = np.concatenate([np.concatenate(a[n : n + 2], 1) for n in range(0, len(a), 2)], 2)
        b16 = np.concatenate(b, 2).transpose(0, 2, 1)  # lane l: column l // 4
        product = a16 @ b16
        for n, (target, source) in enumerate(zip(sums, added, strict=True)):
            half = product[:, 8 * (n // 2) : 8 * (n // 2) + 8].reshape(-1, 32, 2)[..., n % 2].reshape(-1)
            self._registers[target] = _from_floats(_floats(self._registers[source]) + half)

    def _halves(self, register: str) -> Values:
        """A register of each lane as 8 × 8 values of each warp: lane l has row l // 4, columns 2·(l % 4) and the
        next."""
        raw = self._registers[register].astype(np.uint32).view(np.float16)
        return raw.reshape(-1, 8, 8).astype(np.float32)


def _registers(operand: str) -> list[str]:
    return re.findall(r"%\w+", operand)


def _bits(kind: str) -> int:
    return 1 if kind == "pred" else int(kind[1:])


def _unsigned(value: Values, bits: int) -> Values:
    return value if bits == 64 else value & ((1 << bits) - 1)


def _signed(value: Values, bits: int) -> Values:
    if bits == 64:
        return value
    half = 1 << (bits - 1)
    return (_unsigned(value, bits) ^ half) - half


def _floats(bits: Values) -> Values:
    return bits.astype(np.uint32).view(np.float32)


def _from_floats(values: Values) -> Values:
    return values.astype(np.float32).view(np.uint32).astype(np.int64)


def _converted(to: str, kind: str, given: Values) -> Values:
    """``cvt.to.kind``; rounding to nearest."""
    if (to, kind) == ("f16", "f32"):
        return _floats(given).astype(np.float16).view(np.uint16).astype(np.int64)
    if (to, kind) == ("f32", "f16"):
        return _from_floats(given.astype(np.uint16).view(np.float16))
    bits = _bits(kind)
    return _unsigned(_signed(given, bits) if kind[0] == "s" else _unsigned(given, bits), _bits(to))


def _quotient(a: Values, b: Values) -> Values:
    """Truncated, as C's."""
    return np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))


def _shifted_left(value: Values, by: Values, bits: int) -> Values:
    return np.where(by < bits, value << np.minimum(by, bits - 1), 0)


def _shifted_right(value: Values, by: Values, bits: int) -> Values:
    whole = _unsigned(value, bits).astype(np.uint64) >> np.minimum(by, bits - 1).astype(np.uint64)
    return np.where(by < bits, whole.astype(np.int64), 0)


_COMPARED: dict[str, Callable[..., Values]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_FLOATS: dict[str, Callable[..., Values]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "fma": lambda a, b, c: a.astype(np.float64) * b + c,
}
_BITWISE: dict[str, Callable[..., Values]] = {
    "and": lambda a, b, _: a & b,
    "or": lambda a, b, _: a | b,
    "xor": lambda a, b, _: a ^ b,
    "not": lambda a, _: ~a,
    "mov": lambda a, _: a,
    "shl": _shifted_left,
    "shr": _shifted_right,
}
_INTEGERS: dict[str, Callable[..., Values]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul.lo": np.multiply,
    "div": _quotient,
    "rem": lambda a, b: a - b * _quotient(a, b),
    "min": np.minimum,
    "max": np.maximum,
    "shr": lambda a, by: a >> by,
}


def bits_of(value: float) -> int:
    """An fp32 number as its bits."""
    number: int = struct.unpack("<I", struct.pack("<f", value))[0]
    return number

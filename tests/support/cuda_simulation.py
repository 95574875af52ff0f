"""A simulated CUDA device on a CPU build of PyTorch: streams, events, graphs, pinned memory and a memory limit.

A tensor "on cuda:N" is a wrapper that holds a real CPU tensor, so every result is a real one. Beside computing it, the
simulation keeps a vector clock for the host, each stream and each event (Lamport 1978, Mattern 1989), and reports

- **races**: a kernel or copy that touches memory another stream wrote or still reads, without waiting for it; a host
  read of pinned memory before its copy is known to be done; memory freed by the host while another stream than its own
  may still use it, without ``record_stream``;
- **blocking calls**: every operation at which the host waits for the device, with the line that caused it;
- **graphs**: a captured graph is replayed into the *same* memory, so that a result kept across a replay really is
  overwritten. A blocking call during a capture, or a kernel on another device than the capture's, invalidates it, and
  after an invalidated capture ``empty_cache`` fails as PyTorch's does;
- **the current device** belongs to the thread and is 0 in a new one; ``torch.cuda.graph`` takes its stream there;
- **memory**: live bytes per device, their peak, ``torch.OutOfMemoryError`` above a limit or at chosen allocations.

It knows nothing of cuDNN, of fragmentation and of time.

    with CudaSimulation() as cuda:
        ...                               # torch.device("cuda") works in this thread
    assert not cuda.races and not cuda.blocking
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, SimpleNamespace, TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from tests.support import processes

_HERE = str(Path(__file__).resolve())
_GUARD = Path(__file__).with_name("cuda_guard.cpp")

#: Operations after which the host knows a value or a size that the device had to compute first.
_WAITS_FOR_VALUES = frozenset(
    {"_local_scalar_dense", "nonzero", "masked_select", "equal", "unique_consecutive", "_unique2", "unique_dim"}
)
#: How long a thread may go on after the simulation's block.
_THREAD_SECONDS = 20.0
_ALLOCATIONS = ("empty", "new_empty", "empty_strided", "empty_like")
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd

Clock = dict[int, int]


def _advance(clock: Clock, other: Clock) -> None:
    for key, value in other.items():
        if clock.get(key, 0) < value:
            clock[key] = value


@functools.cache
def load_guard() -> None:
    """Compile and load the device guard; once per process.

    Raises:
        subprocess.CalledProcessError: the C++ compiler refused it.
    """
    torch_folder = Path(torch.__file__).parent
    abi = int(torch.compiled_with_cxx11_abi())
    command = ["c++", "-std=c++20", "-O0", "-shared", "-fPIC", f"-D_GLIBCXX_USE_CXX11_ABI={abi}"]
    paths = [f"-I{torch_folder / 'include'}", f"-L{torch_folder / 'lib'}", f"-Wl,-rpath,{torch_folder / 'lib'}"]
    with tempfile.TemporaryDirectory(
        prefix="vidsr-guard-"
    ) as folder:  # a library that is loaded needs its file no more
        library = Path(folder) / "cuda_guard.so"
        processes.run([*command, *paths, str(_GUARD), "-o", str(library), "-lc10"], check=True, capture_output=True)
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


class SimulatedStream:
    """What ``torch.cuda.Stream`` gives: a queue of work on one device, here a clock."""

    _ids = itertools.count(1)

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        simulation = CudaSimulation.active()
        self.id = next(self._ids)
        self.device = simulation.resolve(device)
        self.clock: Clock = {}
        self.name = f"stream {self.id} on {self.device}"

    def wait_stream(self, other: SimulatedStream) -> None:
        _advance(self.clock, other.clock)

    def wait_event(self, event: SimulatedEvent) -> None:
        _advance(self.clock, event.clock)

    def record_event(self, event: SimulatedEvent | None = None) -> SimulatedEvent:
        event = event or SimulatedEvent()
        event.record(self)
        return event

    def synchronize(self) -> None:
        CudaSimulation.active().host_waits("Stream.synchronize", [self])


class SimulatedEvent:
    """What ``torch.cuda.Event`` gives: a point in a stream."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.clock: Clock = {}
        self.blocking = blocking

    def record(self, stream: SimulatedStream | None = None) -> None:
        simulation = CudaSimulation.active()
        stream = stream or simulation.current_stream()
        _advance(stream.clock, simulation.host)
        self.clock = dict(stream.clock)

    def synchronize(self) -> None:
        """The wait that a pipeline is meant to have: counted, but no blocking call."""
        simulation = CudaSimulation.active()
        simulation.event_waits += 1
        _advance(simulation.host, self.clock)

    def wait(self, stream: SimulatedStream | None = None) -> None:
        (stream or CudaSimulation.active().current_stream()).wait_event(self)

    def query(self) -> bool:
        host = CudaSimulation.active().host
        return all(host.get(key, 0) >= value for key, value in self.clock.items())

    def elapsed_time(self, _: SimulatedEvent) -> float:
        return 1.0


class _Operation(SimpleNamespace):
    """A captured kernel: ``function``, its ``args`` and ``kwargs``, results ``outs``, ``reads`` and ``writes``."""


class SimulatedGraph:
    """What ``torch.cuda.CUDAGraph`` gives: kernels that run again on the same memory."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.operations: list[_Operation] = []
        self.device: torch.device | None = None

    def replay(self) -> None:
        simulation = CudaSimulation.active()
        assert self.device is not None, "replay before capture"
        simulation.replays += 1
        stream = simulation.current_stream(self.device)
        for op in self.operations:
            made, _ = tree_flatten(op.function(*op.args, **op.kwargs))
            for kept, new in zip(op.outs, made, strict=True):
                if kept is not None and kept.data_ptr() != new.data_ptr():
                    kept.copy_(new)
            simulation.touch(stream, op.reads, op.writes, f"replay of {op.function}")

    def reset(self) -> None:
        self.operations.clear()

    def pool(self) -> tuple[int, int]:
        return (0, id(self))


class _Capture:
    """``torch.cuda.graph``: within it kernels are recorded, and nothing runs."""

    _default_stream: SimulatedStream | None = None

    def __init__(
        self, graph: SimulatedGraph, pool: Any = None, stream: Any = None, capture_error_mode: str = "global"
    ) -> None:
        if stream is None:
            if _Capture._default_stream is None:
                _Capture._default_stream = SimulatedStream()  # on the thread's current device, as PyTorch does
            stream = _Capture._default_stream
        self.graph, self.stream, self.mode = graph, stream, capture_error_mode

    def __enter__(self) -> None:
        simulation = CudaSimulation.active()
        simulation.host_waits("torch.cuda.graph", None)
        simulation.empty_cache()
        self._on_stream = simulation.use_stream(self.stream)
        self._on_stream.__enter__()
        self.graph.device = self.stream.device
        simulation.capture = self
        simulation.captures += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        simulation = CudaSimulation.active()
        simulation.capture = None
        self._on_stream.__exit__(kind, error, trace)
        if simulation.capture_invalid:
            simulation.capture_invalid = False
            simulation.allocator_broken = True
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        for op in self.graph.operations:  # nothing ran: what lies in the results is left over from before
            for tensor in op.outs:
                if tensor is not None and tensor.dtype != torch.bool:
                    tensor.fill_(float("nan") if tensor.is_floating_point() else 85)


class DeviceTensor(Tensor):
    """A tensor on a simulated device; ``inner`` is the CPU tensor with its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor, device: torch.device) -> DeviceTensor:
        made: DeviceTensor = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=device,
            requires_grad=False,
        )
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:
        return f"DeviceTensor({tuple(self.shape)}, {self.dtype}, {self.device})"

    def record_stream(self, stream: SimulatedStream) -> None:
        CudaSimulation.active().log_of(self.inner).recorded.add(stream.id)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return CudaSimulation.active().dispatch(function, args, kwargs or {})

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=device or self.device)

    def tolist(self) -> Any:
        simulation = CudaSimulation.active()
        simulation.host_waits("tolist", [simulation.current_stream(self.device)])
        return self.inner.tolist()

    def __deepcopy__(self, memo: Any) -> DeviceTensor:
        return DeviceTensor(self.inner.clone(), self.device)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of an operation: its short name, and whether it consists of others, makes a view, writes into its
    first argument, or only allocates."""

    function: Any
    name: str
    composite: bool
    view: bool
    in_place: bool
    allocation: bool


@functools.cache
def _kind_of(function: Any) -> _Kind:
    name = function._schema.name.removeprefix("aten::")
    aliases = [r.alias_info for r in function._schema.returns if r.alias_info is not None]
    return _Kind(
        function=function,
        name=name,
        composite=torch._C._dispatch_has_kernel_for_dispatch_key(function.name(), _COMPOSITE),
        view=any(not alias.is_write for alias in aliases),
        in_place=any(alias.is_write for alias in aliases),
        allocation=name.startswith(_ALLOCATIONS),
    )


@dataclass(slots=True)
class _Call:
    """One call of an operation: its arguments, the same with CPU tensors, all tensors in them, and the device's."""

    known: _Kind
    args: Any
    kwargs: dict[str, Any]
    plain_args: Any
    plain: dict[str, Any]
    tensors: list[Tensor]
    ours: list[DeviceTensor]


class _StorageLog:
    """A storage: who wrote it last, who reads it since, for which streams it was recorded, and its bytes on a device.

    ``storage`` calls back the moment nothing refers to it any more.
    """

    def __init__(self, storage: weakref.ref[Any], home: SimulatedStream | None, made_at: str) -> None:
        self.storage = storage
        self.home = home
        self.made_at = made_at
        self.pinned = False
        self.device: torch.device | None = None
        self.bytes = 0
        self.write: tuple[int, int, str] | None = None  # stream, its time, operation
        self.reads: dict[int, tuple[int, str]] = {}
        self.recorded: set[int] = set()


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.device = 0
        self.streams: dict[torch.device, SimulatedStream] = {}


class CudaSimulation(TorchDispatchMode):
    """The simulated machine; see the module. Use it as a context manager; threads started within take part.

    ``devices`` GPUs of ``memory_bytes`` each. ``fail_at``: numbers of allocations (1, 2, …) that are out of memory.
    ``capability`` and ``architectures`` are what the driver and the torch build claim; the default is too old for
    Triton's kernels, which a simulated device cannot run.
    """

    _active: CudaSimulation | None = None

    def __init__(
        self,
        devices: int = 1,
        *,
        memory_bytes: int = 8 << 30,
        fail_at: Sequence[int] = (),
        capability: tuple[int, int] = (7, 5),
        architectures: Sequence[str] = ("sm_75", "sm_80", "sm_86", "sm_90"),
    ) -> None:
        super().__init__()
        self.devices = devices
        self.memory_bytes = memory_bytes
        self.fail_at = set(fail_at)
        self.capability = capability
        self.architectures = list(architectures)
        self.host: Clock = {}
        self.races: list[str] = []
        self.blocking: list[tuple[str, str]] = []
        self.kernels: Counter[str] = Counter()
        self.written_bytes = 0
        self.allocations = 0
        self.out_of_memory = 0
        self.live_bytes: Counter[torch.device] = Counter()
        self.peak_bytes: Counter[torch.device] = Counter()
        self.captures = self.replays = self.event_waits = 0
        self.capture: _Capture | None = None
        self.capture_invalid = self.allocator_broken = False
        self._thread = _PerThread()
        self._default_streams: dict[torch.device, SimulatedStream] = {}
        self._logs: dict[int, _StorageLog] = {}
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    @classmethod
    def active(cls) -> CudaSimulation:
        """The simulation that is running."""
        assert cls._active is not None, "a simulated tensor outlived its simulation"
        return cls._active

    # The machine

    def __enter__(self) -> CudaSimulation:
        load_guard()
        assert CudaSimulation._active is None, "one simulation at a time"
        CudaSimulation._active = self
        _Capture._default_stream = None
        for number in range(self.devices):
            device = torch.device("cuda", number)
            self._default_streams[device] = SimulatedStream(device)
        self._saved = [(owner, name, getattr(owner, name)) for owner, name, _ in self._replacements()]
        for owner, name, value in self._replacements():
            setattr(owner, name, value)
        self._overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        # A thread that goes on later would work on the next simulation's device, or on none.
        for thread in list(self._threads):
            thread.join(_THREAD_SECONDS)
        alive = sorted(thread.name for thread in self._threads if thread.is_alive())
        super().__exit__(*error)
        for owner, name, value in self._saved:
            setattr(owner, name, value)
        torch.__future__.set_overwrite_module_params_on_conversion(self._overwrite)
        _forget_cached_tensors()
        CudaSimulation._active = None
        assert not alive or any(error), f"threads outlive the simulation: {alive}"

    def _replacements(self) -> list[tuple[Any, str, Any]]:
        cuda = torch.cuda
        return [
            # Threads that start while the simulation runs take part in it.
            (threading.Thread, "run", self._run_in_thread(threading.Thread.run)),
            (cuda, "is_available", lambda: True),
            (cuda, "is_initialized", lambda: True),
            (cuda, "_lazy_init", lambda: None),
            (cuda, "device_count", lambda: self.devices),
            (cuda, "current_device", lambda: self._thread.device),
            (cuda, "set_device", self._set_device),
            (cuda, "device", self._device_context),
            (cuda, "get_device_name", lambda device=None: "Simulated GPU"),
            (cuda, "get_device_capability", lambda device=None: self.capability),
            (cuda, "get_arch_list", lambda: self.architectures),
            (cuda, "get_device_properties", self._properties),
            (cuda, "Stream", SimulatedStream),
            (cuda, "Event", SimulatedEvent),
            (cuda, "CUDAGraph", SimulatedGraph),
            (cuda, "graph", _Capture),
            (cuda, "stream", self.use_stream),
            (cuda, "current_stream", self.current_stream),
            (cuda, "synchronize", lambda device=None: self.host_waits("torch.cuda.synchronize", None)),
            (cuda, "empty_cache", self.empty_cache),
            (cuda, "mem_get_info", self._memory_info),
            (cuda, "memory_reserved", lambda device=None: self.live_bytes[self.resolve(device)]),
            (cuda, "memory_allocated", lambda device=None: self.live_bytes[self.resolve(device)]),
            (cuda, "max_memory_allocated", lambda device=None: self.peak_bytes[self.resolve(device)]),
            (cuda, "reset_peak_memory_stats", lambda device=None: self.peak_bytes.clear()),
            (torch, "tensor", self._tensor_from_host(torch.tensor)),
            (torch, "as_tensor", self._tensor_from_host(torch.as_tensor)),
            (Tensor, "numpy", self._checked_numpy(Tensor.numpy)),
            (Tensor, "pin_memory", self._pin),
        ]

    def _run_in_thread(self, plain: Callable[..., None]) -> Callable[..., None]:
        def run(thread: threading.Thread) -> None:
            self._threads.add(thread)
            with _Join(self):
                plain(thread)

        return run

    def _properties(self, device: Any = None) -> SimpleNamespace:
        major, minor = self.capability
        return SimpleNamespace(
            name="Simulated GPU", major=major, minor=minor, total_memory=self.memory_bytes, multi_processor_count=1
        )

    def resolve(self, device: Any) -> torch.device:
        """A device with its index: the thread's current one where none is given."""
        if device is None:
            return torch.device("cuda", self._thread.device)
        if isinstance(device, int):
            return torch.device("cuda", device)
        device = torch.device(device)
        if device.type == "cuda" and device.index is None:
            return torch.device("cuda", self._thread.device)
        return device

    def _set_device(self, device: Any) -> None:
        self._thread.device = self.resolve(device).index

    @contextmanager
    def _device_context(self, device: Any) -> Iterator[None]:
        before = self._thread.device
        self._set_device(device)
        try:
            yield
        finally:
            self._thread.device = before

    @contextmanager
    def use_stream(self, stream: SimulatedStream | None) -> Iterator[SimulatedStream | None]:
        """``torch.cuda.stream``: makes the stream and its device the thread's current ones."""
        if stream is None:
            yield None
            return
        device, before = self._thread.device, self._thread.streams.get(stream.device)
        self._thread.streams[stream.device] = stream
        self._thread.device = stream.device.index
        try:
            yield stream
        finally:
            self._thread.device = device
            if before is None:
                del self._thread.streams[stream.device]
            else:
                self._thread.streams[stream.device] = before

    def current_stream(self, device: Any = None) -> SimulatedStream:
        """The stream on which this thread's kernels for ``device`` run."""
        device = self.resolve(device)
        return self._thread.streams.get(device) or self._default_streams[device]

    def host_waits(self, what: str, streams: Sequence[SimulatedStream] | None) -> None:
        """The host waits until ``streams`` (None: every one of them) are done."""
        if self.capture is not None:
            self.capture_invalid = True
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({what})")
        self.blocking.append((what, _where()))
        known = [*self._default_streams.values(), *self._thread.streams.values()] if streams is None else streams
        for stream in known:
            _advance(self.host, stream.clock)

    # Memory

    def empty_cache(self) -> None:
        """Fails, as PyTorch's allocator does, once a capture was invalidated."""
        if self.allocator_broken:
            raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp")

    def _memory_info(self, device: Any = None) -> tuple[int, int]:
        return self.memory_bytes - self.live_bytes[self.resolve(device)], self.memory_bytes

    def _allocate(self, tensor: Tensor, device: torch.device, stream: SimulatedStream) -> None:
        """Account for a fresh tensor."""
        log, size = self.log_of(tensor, stream), tensor.untyped_storage().nbytes()
        if size == 0 or log.bytes:
            return
        self.allocations += 1
        if self.allocations in self.fail_at or self.live_bytes[device] + size > self.memory_bytes:
            self.out_of_memory += 1
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes (simulated)")
        log.device, log.bytes = device, size
        self.live_bytes[device] += size
        self.peak_bytes[device] = max(self.peak_bytes[device], self.live_bytes[device])

    def log_of(self, tensor: Tensor, home: SimulatedStream | None = None) -> _StorageLog:
        """The log of a tensor's storage; begun where there is none."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        found = self._logs.get(key)
        if found is None:
            reference = weakref.ref(storage, lambda _: self._freed(key))
            found = self._logs[key] = _StorageLog(reference, home, _where())
        return found

    def _freed(self, key: int) -> None:
        """The host has freed a storage: may anybody still use it?"""
        log = self._logs.pop(key)
        if log.device is not None:
            self.live_bytes[log.device] -= log.bytes
        if log.home is None:
            return
        uses = dict(log.reads)
        if log.write is not None:
            uses.setdefault(log.write[0], log.write[1:])
        for stream, (time, what) in uses.items():
            if stream in log.recorded or stream == log.home.id:
                continue
            if max(log.home.clock.get(stream, 0), self.host.get(stream, 0)) < time:
                self.races.append(f"freed while stream {stream} may still use it ({what}); made at {log.made_at}")

    def touch(self, stream: SimulatedStream, reads: Sequence[Tensor], writes: Sequence[Tensor], what: str) -> None:
        """A kernel or a copy on ``stream``: is all that it depends on done?"""
        _advance(stream.clock, self.host)
        now = stream.clock[stream.id] = stream.clock.get(stream.id, 0) + 1
        for tensor in reads:
            log = self.log_of(tensor)
            self._after_write(stream, log, f"{what} reads")
            log.reads[stream.id] = (now, what)
        for tensor in writes:
            log = self.log_of(tensor, stream)
            self._after_write(stream, log, f"{what} writes over")
            for reader, (time, who) in log.reads.items():
                if reader != stream.id and stream.clock.get(reader, 0) < time:
                    self.races.append(f"{what} on {stream.name} writes what stream {reader} still reads ({who})")
            log.write = (stream.id, now, what)

    def _after_write(self, stream: SimulatedStream, log: _StorageLog, what: str) -> None:
        if log.write is None or log.write[0] == stream.id:
            return
        writer, time, who = log.write
        if stream.clock.get(writer, 0) < time:
            self.races.append(f"{what} on {stream.name} what stream {writer} still writes ({who}), at {_where()}")

    def _checked_numpy(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def numpy(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            found = self._logs.get(tensor.untyped_storage()._cdata)
            if found is not None and found.write is not None:
                writer, time, who = found.write
                if self.host.get(writer, 0) < time:
                    self.races.append(f"the host reads pinned memory before {who} is done, at {_where()}")
            return plain(tensor, *args, **kwargs)

        return numpy

    def _tensor_from_host(self, plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def tensor(data: Any, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
            made = plain(data, *args, **kwargs)
            if device is None or torch.device(device).type != "cuda":
                return made
            return made.to(self.resolve(device))

        return tensor

    def _pin(self, tensor: Tensor) -> Tensor:
        self.log_of(tensor).pinned = True
        return tensor

    # Operations

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.dispatch(function, args, kwargs or {})

    def dispatch(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run one operation, on the host or on a device."""
        known = _kind_of(function)
        if known.composite:  # in inference mode composite operations arrive whole
            with _Join(self):
                return function._op_dk(_COMPOSITE, *args, **kwargs)
        tensors: list[Tensor] = []
        plain_args = _plain(args, tensors)
        plain = {key: _plain(value, tensors) for key, value in kwargs.items()} if kwargs else {}
        ours = [t for t in tensors if type(t) is DeviceTensor]
        asked = None if plain.get("device") is None else torch.device(plain["device"])
        if not ours and (asked is None or asked.type != "cuda"):
            pin = plain.pop("pin_memory", False)
            made = function(*args, **plain)
            if pin:
                self.log_of(made).pinned = True
            return made
        call = _Call(known, args, kwargs, plain_args, plain, tensors, ours)
        return self._on_device(call, asked)

    def _on_device(self, call: _Call, asked: torch.device | None) -> Any:
        name = call.known.name
        devices = {t.device for t in call.ours}
        if len(devices) > 1 and name not in ("copy_", "_to_copy"):
            raise RuntimeError(f"{name}: expected all tensors on one device, found {sorted(map(str, devices))}")
        target = next(iter(devices)) if devices else self.resolve(asked)
        result_device = target if asked is None else self.resolve(asked)
        if name == "copy_" and not isinstance(call.args[0], DeviceTensor):
            result_device = torch.device("cpu")
        stream = self.current_stream(target)
        if self.capture is not None and target != self.capture.graph.device:
            self.capture_invalid = True
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing (another device)")
        self._note_wait(call, result_device, stream)
        if "device" in call.plain:
            call.plain["device"] = torch.device("cpu")
        for key in ("non_blocking", "pin_memory"):
            call.plain.pop(key, None)
        return self._finish(call, call.known.function(*call.plain_args, **call.plain), result_device, stream)

    def _note_wait(self, call: _Call, result: torch.device, stream: SimulatedStream) -> None:
        """Is this an operation at which the host waits?"""
        name, args = call.known.name, call.args
        if name in _WAITS_FOR_VALUES:
            self.host_waits(name, [stream])
        elif name in ("index", "index_put_"):
            indices, _ = tree_flatten(args[1])
            if any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in indices):
                self.host_waits(f"{name} with a mask", [stream])
        elif name in ("_to_copy", "copy_"):
            source = args[1] if name == "copy_" else args[0]
            from_device, to_device = isinstance(source, DeviceTensor), result.type == "cuda"
            if from_device == to_device:
                return
            host_side = (args[0] if name == "copy_" else None) if from_device else source
            pinned = host_side is not None and self.log_of(host_side).pinned
            overlapped = call.kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
            if not (pinned and overlapped):
                kind = "page-locked" if pinned else "pageable"
                self.host_waits(f"copy {'to the host' if from_device else 'to the device'}, {kind}", [stream])

    def _finish(self, call: _Call, made: Any, device: torch.device, stream: SimulatedStream) -> Any:
        known = call.known
        host = [t for t in call.tensors if type(t) is not DeviceTensor and t.dim()]
        reads = [t.inner for t in call.ours] + host
        outs, spec = ([made], None) if isinstance(made, Tensor) else tree_flatten(made)
        fresh: list[Tensor] = []
        if known.in_place:
            result = call.args[0]
            writes = [_inner(result)]
        else:
            held = {t.untyped_storage()._cdata for t in reads}
            fresh = [t for t in outs if isinstance(t, Tensor) and t.untyped_storage()._cdata not in held]
            given = outs
            if device.type == "cuda":
                for tensor in fresh:
                    self._allocate(tensor, device, stream)
                given = [DeviceTensor(t, device) if isinstance(t, Tensor) else t for t in outs]
            result = given[0] if spec is None else tree_unflatten(given, spec)
            writes = fresh
        for tensor in fresh:
            self.log_of(tensor, stream)
        if (known.view and not fresh) or known.allocation:
            return result
        self.kernels[known.name] += 1
        self.written_bytes += sum(t.numel() * t.element_size() for t in writes)
        if self.capture is None:
            self.touch(stream, reads, writes, known.name)
        else:
            kept = [t if any(t is f for f in fresh) else None for t in outs]
            self.capture.graph.operations.append(
                _Operation(
                    function=known.function,
                    args=call.plain_args,
                    kwargs=call.plain,
                    outs=kept,
                    reads=reads,
                    writes=writes,
                )
            )
        return result

    def report(self) -> str:
        """What was found, one line each."""
        lines = [f"{len(self.races)} races", *sorted(set(self.races))]
        lines.append(f"{self.captures} captures, {self.replays} replays, {self.event_waits} waits for events")
        lines.append(f"{len(self.blocking)} blocking calls")
        lines += [f"  {n} x {what} at {where}" for (what, where), n in Counter(self.blocking).most_common()]
        return "\n".join(lines)


class _Join(TorchDispatchMode):
    """The simulation's operations for one more thread, or for the parts of a composite operation."""

    def __init__(self, simulation: CudaSimulation) -> None:
        super().__init__()
        self._simulation = simulation

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._simulation.dispatch(function, args, kwargs or {})


def _forget_cached_tensors() -> None:
    """Empty the caches of vidsr's functions: constants on a simulated device must not outlive it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("vidsr."):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, DeviceTensor) else value


def _plain(value: Any, tensors: list[Tensor]) -> Any:
    """Arguments with the CPU tensors in place of the device's; every tensor among them joins ``tensors``."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return _inner(value)
    if isinstance(value, (tuple, list)):
        return type(value)([_plain(one, tensors) for one in value])
    return value


@functools.cache
def _shown(file: str) -> str:
    """The end of a source file's path; empty for files of PyTorch, of Python and of this module."""
    if file == _HERE or "/torch/" in file or "/lib/python3" in file or file.startswith("<"):
        return ""
    return "/".join(file.rsplit("/", 3)[-3:])


def _where() -> str:
    """File and line of the innermost frame outside torch and this module.

    It is asked for at every allocation: the frames themselves are looked at, since ``traceback`` reads source files.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = _shown(frame.f_code.co_filename)
        if name:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return "an unknown place"

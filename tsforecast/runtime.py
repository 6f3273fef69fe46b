"""What a process sets once: device, precision, threads, allocator, seed, signals."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

import torch

from tsforecast.errors import ConfigError, StoppedError

__all__ = [
    "autocast",
    "be_deterministic",
    "choose_device",
    "deferred_signals",
    "ends_in_time",
    "flushed_denormals",
    "keep_freed_memory",
    "seed_everything",
    "set_precision",
    "set_threads",
]

# Layers up to this size train as fast on one thread as on several.
SMALL_HIDDEN_SIZE = 128
# glibc's <malloc.h>
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
# How long a first signal waits for the work to stop between two steps; after that it stops in the middle of one.
PATIENCE_SECONDS = 5.0


def choose_device(name: str) -> torch.device:
    """The device for ``auto``, ``cpu`` or ``cuda``; only ``auto`` may fall back to the CPU.

    Raises:
        ConfigError: ``cuda`` was asked for and there is none.
    """
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if name == "auto":
        return torch.device("cpu")
    raise ConfigError(
        f"runtime.device: {name!r} was asked for, but torch {torch.__version__} sees no GPU on this machine; "
        "set runtime.device to 'auto' or 'cpu', or install a CUDA build of torch."
    )


def set_precision(precision: str, device: torch.device) -> None:
    """Allows or forbids TF32 in CUDA matrix products; ``bfloat16`` is left to :func:`autocast`.

    Raises:
        ConfigError: the device cannot do what was asked for.
    """
    if precision == "float32":
        if device.type == "cuda":
            _allow_tf32(False)
        return
    if device.type != "cuda":
        raise ConfigError(
            f"runtime.precision: {precision!r} needs a GPU, and this run uses {device.type!r}; set it to 'float32'."
        )
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported():
        raise ConfigError("runtime.precision: this GPU has no 'bfloat16'; set it to 'float32' or 'tf32'.")
    _allow_tf32(True)


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context in which the forward pass runs in the configured precision."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def set_threads(threads: int | str, *, hidden_size: int) -> None:
    """Sets torch's CPU threads.

    ``auto`` is one thread for networks whose layers are small: there a second one gains a tenth on an idle machine
    and loses three quarters on a busy one, where each step waits for the slower thread.
    """
    if isinstance(threads, int):
        torch.set_num_threads(threads)
    elif hidden_size <= SMALL_HIDDEN_SIZE:
        torch.set_num_threads(1)


def be_deterministic() -> None:
    """Lets torch take only kernels that give the same bits each time, for the rest of the process.

    On one thread the CPU does so anyway. On a GPU some kernels add up in the order their threads come to it; cuBLAS
    reads its variable when CUDA starts, so call this before anything is computed.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def seed_everything(seed: int) -> None:
    """The one seeding call: torch on every device. All other randomness uses generators made from the seed."""
    torch.manual_seed(seed)


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed blocks instead of giving them back to the kernel; true where that was possible.

    torch's CPU LSTM allocates and frees large temporaries at every step. By default glibc maps them afresh each
    time, and the page faults cost more than the arithmetic. ``benchmarks/train_speed.py`` measures the gain.
    Called by the command line for training only: importing the package must not change its host process.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl and others
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Lets the processor take numbers below 1e-38 for zero while the body runs; also a decorator.

    A gradient that fades over a long window passes through such numbers, which processors compute tens of times
    slower than others: ``benchmarks/train_speed.py`` shows training several times faster without them. They are far
    below the rounding of any weight. Afterwards torch's default holds again, as the setting has no getter.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def deferred_signals() -> Iterator[Callable[[], int | None]]:
    """Ctrl-C and SIGTERM wait until they are asked for, so that work can stop between two steps.

    Whoever sends SIGTERM often sends SIGKILL ten seconds later, so work that does not ask within
    ``PATIENCE_SECONDS`` is stopped where it stands: files are written in one step, and what was saved stays.

    Yields:
        A function that returns the number of the signal that came, or None. A second signal does not wait.

    Only the main thread can catch signals; elsewhere none ever comes.
    """
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        if received:
            raise StoppedError(f"stopped at once by a second signal ({number}).", number)
        received.append(number)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)

    def lose_patience(_number: int, _frame: FrameType | None) -> None:
        raise StoppedError(f"stopped by signal {received[0]}.", received[0])

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    handlers = {signal.SIGINT: remember, signal.SIGTERM: remember, signal.SIGALRM: lose_patience}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield lambda: received[0] if received else None
    finally:
        if received:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ends_in_time(seconds: float, last_words: Callable[[int], None]) -> Iterator[None]:
    """Ends the process so many seconds after Ctrl-C or SIGTERM where the block has not come to its end by itself.

    Python hands a signal over between two of its own steps, and a long step of another library may take longer than
    whoever sent the signal waits. The kernel's note of it is read by a thread.

    Args:
        seconds: from the signal on.
        last_words: is called with the number of the signal before the end.

    Only the main thread can catch signals; elsewhere nothing is watched.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(reader, True)

    def watch() -> None:
        numbers = os.read(reader, 1)
        if numbers and numbers[0] in (signal.SIGINT, signal.SIGTERM) and not over.wait(seconds):
            last_words(numbers[0])
            os._exit(128 + numbers[0])

    thread = threading.Thread(target=watch, name="signals", daemon=True)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)  # the thread reads the end, and ends
        thread.join(timeout=1)
        os.close(reader)

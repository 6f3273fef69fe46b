import os
import signal
import subprocess
import sys

import pytest
import torch

from tsforecast import runtime
from tsforecast.errors import ConfigError, StoppedError
from tsforecast.runtime import choose_device, deferred_signals, flushed_denormals, set_precision


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_asking_for_cuda_where_there_is_none_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"runtime.device: 'cuda'.*no GPU.*'auto'"):
        choose_device("cuda")


@pytest.mark.usefixtures("no_gpu")
def test_auto_falls_back_to_the_cpu() -> None:
    assert choose_device("auto") == torch.device("cpu")


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_gpu_precisions_are_refused_on_the_cpu(precision: str) -> None:
    with pytest.raises(ConfigError, match=rf"runtime.precision: '{precision}' needs a GPU"):
        set_precision(precision, torch.device("cpu"))


def test_a_signal_waits_until_it_is_asked_for_and_the_second_does_not() -> None:
    with deferred_signals() as stop_signal:
        assert stop_signal() is None
        signal.raise_signal(signal.SIGTERM)
        assert stop_signal() == signal.SIGTERM
        with pytest.raises(StoppedError) as stopped:
            signal.raise_signal(signal.SIGINT)
    assert stopped.value.exit_code == 130


def work_on_after_a_signal() -> None:
    signal.raise_signal(signal.SIGTERM)
    signal.pause()


def test_a_signal_that_nobody_asks_for_stops_the_work_where_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(StoppedError, match="stopped by signal 15") as stopped, deferred_signals():
        work_on_after_a_signal()
    assert stopped.value.exit_code == 143


def test_work_that_ends_in_time_is_not_disturbed_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    with deferred_signals():
        signal.raise_signal(signal.SIGTERM)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_the_handlers_from_before_are_put_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    with deferred_signals():
        assert all(
            signal.getsignal(number) is not handler for number, handler in zip(numbers, before, strict=True)
        )
    assert [signal.getsignal(number) for number in numbers] == before


def test_deterministic_is_torchs_own_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        runtime.be_deterministic()
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


PAGE_FAULTS = """
import resource, torch
from tsforecast.runtime import keep_freed_memory
torch.set_num_threads(1)
if {keep}:
    assert keep_freed_memory()
def step():
    return sum(torch.ones(1 << 20) * k for k in range(4))
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux, whose glibc has mallopt")
def test_kept_memory_is_not_mapped_afresh_at_every_step() -> None:
    faults = {
        keep: int(subprocess.check_output([sys.executable, "-c", PAGE_FAULTS.format(keep=keep)]))
        for keep in (False, True)
    }
    assert faults[True] < faults[False] / 10


def test_importing_the_module_changes_no_allocator_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert runtime.keep_freed_memory() is False


def test_denormals_are_zero_inside_and_themselves_again_after() -> None:
    tiny = torch.tensor([1e-30])
    with flushed_denormals():
        assert (tiny * 1e-10).item() == 0.0
    assert (tiny * 1e-10).item() > 0.0

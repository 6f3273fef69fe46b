"""A checkpoint is one whole state of a training, or it is refused."""

from __future__ import annotations

import io
import math
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from faults import failing
from safetensors.torch import save
from torch import Tensor, nn

from tsforecast.errors import ConfigError, ResourceError, RunError
from tsforecast.training.checkpoint import load_checkpoint, remove_checkpoint, save_checkpoint

FILE = "checkpoint.safetensors"


def save_step(folder: Path, step: int) -> None:
    save_checkpoint(folder, tensors={"weights": torch.full((50,), float(step))}, position={"step": step})


def save_steps(folder: Path, last: int) -> None:
    for step in range(1, last + 1):
        save_step(folder, step)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    stored = load_checkpoint(folder)
    assert stored is not None
    return stored


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3).T,
        torch.arange(10.0)[::3],
        torch.tensor(7),
        torch.zeros(3, 0),
        torch.tensor([True, False]),
        torch.tensor([0, 255], dtype=torch.uint8),
        torch.tensor([1.5, -2.25], dtype=torch.bfloat16),
        torch.tensor([math.nan, math.inf, -0.0]),
        torch.ones(2, requires_grad=True),
    ],
    ids=["transposed", "strided", "scalar", "empty", "boolean", "bytes", "bfloat16", "special", "parameter"],
)
def test_a_tensor_comes_back_as_it_was(tensor: Tensor, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, tensors={"a": tensor}, position={})

    stored = load(tmp_path)[0]["a"]

    torch.testing.assert_close(stored, tensor.detach(), rtol=0, atol=0, equal_nan=True)
    assert stored.is_contiguous()
    assert not stored.requires_grad


def test_the_position_comes_back_as_it_was(tmp_path: Path) -> None:
    position = {
        "step": 2**60,
        "best_score": math.inf,
        "rate": 0.1 + 0.2,
        "history": [{"loss": 1e-300}],
        "é": None,
    }

    save_checkpoint(tmp_path, tensors={}, position=position)

    assert load(tmp_path) == ({}, position)


def test_tensors_that_share_memory_come_back_each(tmp_path: Path) -> None:
    whole = torch.arange(4.0)

    save_checkpoint(tmp_path, tensors={"whole": whole, "half": whole[:2], "same": whole}, position={})

    tensors = load(tmp_path)[0]
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "whole": [0, 1, 2, 3],
        "half": [0, 1],
        "same": [0, 1, 2, 3],
    }


def test_saving_leaves_the_tensors_of_the_training_alone(tmp_path: Path) -> None:
    weights = torch.zeros(2, requires_grad=True)

    save_checkpoint(tmp_path, tensors={"weights": weights}, position={})

    assert weights.requires_grad
    assert load(tmp_path)[0]["weights"].data_ptr() != weights.data_ptr()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_weights_from_a_gpu_are_loaded_on_the_cpu(tmp_path: Path) -> None:
    network = nn.LSTM(3, 4).cuda()  # cuDNN keeps all its weights in one piece of memory

    save_checkpoint(tmp_path, tensors=network.state_dict(), position={})

    tensors = load(tmp_path)[0]
    assert tensors.keys() == network.state_dict().keys()
    for name, weight in network.state_dict().items():
        assert tensors[name].device.type == "cpu"
        assert torch.equal(tensors[name], weight.cpu())


def test_the_newest_checkpoint_is_the_only_file(tmp_path: Path) -> None:
    for step in range(3):
        save_step(tmp_path / ".run.train", step)

    assert load(tmp_path / ".run.train")[1] == {"step": 2}
    assert [path.name for path in (tmp_path / ".run.train").iterdir()] == [FILE]


def test_there_is_nothing_to_load_where_nothing_was_saved(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert load_checkpoint(tmp_path / "missing") is None
    assert load_checkpoint(tmp_path / "empty") is None


def test_remove_takes_the_folder_and_does_no_harm_twice(tmp_path: Path) -> None:
    save_step(tmp_path / ".run.train", 1)

    remove_checkpoint(tmp_path / ".run.train")
    remove_checkpoint(tmp_path / ".run.train")

    assert list(tmp_path.iterdir()) == []


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(ConfigError, match=r"file/\.run\.train: cannot be written"):
        save_step(tmp_path / "file" / ".run.train", 1)


def test_every_flipped_bit_is_refused_and_the_file_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, tensors={"b": torch.ones(3), "a": torch.tensor(2)}, position={"step": 12})
    content = (tmp_path / FILE).read_bytes()

    for offset in range(len(content)):
        for bit in (0, 5):  # bit 5 turns small letters into capitals
            damaged = bytearray(content)
            damaged[offset] ^= 1 << bit
            (tmp_path / FILE).write_bytes(damaged)
            with pytest.raises(
                RunError, match=rf"{FILE}: this checkpoint cannot be used .* without --resume"
            ):
                load_checkpoint(tmp_path)


def test_every_shortened_file_is_refused(tmp_path: Path) -> None:
    save_step(tmp_path, 1)
    size = (tmp_path / FILE).stat().st_size

    for length in reversed(range(size)):
        os.truncate(tmp_path / FILE, length)
        with pytest.raises(RunError, match=FILE):
            load_checkpoint(tmp_path)


def test_a_pickle_in_disguise_is_not_executed(tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "executed",)

    (tmp_path / FILE).write_bytes(pickle.dumps(Exploit()))

    with pytest.raises(RunError, match=FILE):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        save({"a": torch.ones(2)}),
        save({"a": torch.ones(2)}, {"position": "{}"}),
        (10**12).to_bytes(8, "little"),
    ],
    ids=["no header", "no hash", "huge header"],
)
def test_a_file_of_another_origin_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(RunError, match=FILE):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("function", [(os, "open"), (os, "fsync"), (os, "replace"), (io, "open")])
def test_the_nth_failure_leaves_the_old_checkpoint_or_the_new_one(
    function: tuple[Any, str], tmp_path: Path
) -> None:
    errors = 0
    for nth in range(1, 20):
        save_step(tmp_path, 1)
        with failing(*function, nth=nth) as call:
            try:
                save_step(tmp_path, 2)
            except ResourceError:
                errors += 1
        tensors, position = load(tmp_path)
        assert position["step"] in (1, 2)
        assert set(tensors["weights"].tolist()) == {position["step"]}
        assert [path.name for path in tmp_path.iterdir()] == [FILE]
        if not call.failed:
            break

    assert errors
    assert not call.failed
    assert position["step"] == 2


def test_a_reader_never_sees_the_tensors_of_one_step_beside_the_position_of_another(tmp_path: Path) -> None:
    last = 100
    save_step(tmp_path, 0)
    writer = threading.Thread(target=save_steps, args=(tmp_path, last))

    writer.start()
    while writer.is_alive():
        tensors, position = load(tmp_path)
        assert set(tensors["weights"].tolist()) == {position["step"]}
    writer.join()

    assert load(tmp_path)[1] == {"step": last}

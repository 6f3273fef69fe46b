"""The state of a training under way, in one file that is replaced in one step.

Tensors and the position they belong to stand in the same safetensors file (the position as JSON in its
header), so no reader can see the tensors of one step beside the position of another.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensors_bytes
from torch import Tensor

from tsforecast.errors import RunError
from tsforecast.storage.atomic import output_errors, write_bytes

__all__ = ["load_checkpoint", "remove_checkpoint", "save_checkpoint"]

FILE = "checkpoint.safetensors"


def save_checkpoint(folder: Path, *, tensors: Mapping[str, Tensor], position: Mapping[str, Any]) -> None:
    """Replace the checkpoint in ``folder``, which is made where it is missing.

    Args:
        folder: belongs to checkpoints alone.
        tensors: from any device; tensors that share memory are stored one by one.
        position: plain values that JSON can hold; infinities are kept.

    Raises:
        ConfigError: ``folder`` cannot be written.
        ResourceError: the disk is full or failing; the checkpoint before is unchanged.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # safetensors refuses tensors that share memory or are not contiguous.
    on_cpu = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    text = json.dumps(position)
    metadata = {"position": text, "sha256": _digest(on_cpu, text)}
    write_bytes(folder / FILE, tensors_bytes(on_cpu, metadata))


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors, on the CPU, and the position last saved in ``folder``; None where there are none.

    Raises:
        RunError: the file is damaged; names it.
    """
    file = folder / FILE
    try:
        data = file.read_bytes()
        tensors = parse_tensors(data)
        metadata = _metadata(data)
        text = metadata["position"]
        if metadata["sha256"] != _digest(tensors, text):
            raise ValueError("its content does not fit its SHA-256")
        return tensors, json.loads(text)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(
            f"{file}: this checkpoint cannot be used ({error}). Train without --resume, which replaces it."
        ) from error


def remove_checkpoint(folder: Path) -> None:
    """Remove the folder and the checkpoint in it; no harm where there is none.

    Raises:
        ConfigError: the folder cannot be removed.
    """
    with output_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """SHA-256 over the position and over the name, type, shape and bytes of each tensor."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _metadata(data: bytes) -> dict[str, str]:
    """The texts in the header of a safetensors file that was parsed already: no size needs checking here."""
    end = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:end])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata

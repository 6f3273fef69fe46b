"""The receipt of a run, ``run.json``: what it was made with, from what and at which cost, to make it again."""

from __future__ import annotations

import hashlib
import platform
import resource
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import torch

from tsforecast import __version__
from tsforecast.config.load import dump_config
from tsforecast.config.location import without_secrets
from tsforecast.config.schema import Config

__all__ = ["Started", "circumstances", "config_hash", "differences"]

# Bytes in the unit of ru_maxrss.
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Started:
    """The beginning of the work that a receipt is about.

    Attributes:
        command: the words of the command line, empty where there was none.
        at: when, in UTC; for people, as clocks can be wrong.
        clock: reading of the clock that measures durations.
    """

    command: Sequence[str] = ()
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)

    @property
    def shown(self) -> str:
        """The command line without secrets, empty where there was none."""
        return shlex.join(without_secrets(word) for word in self.command)

    def receipt(
        self, config: Config, *, device: torch.device, data: str, data_hash: str, **more: Any
    ) -> dict[str, Any]:
        """What ``run.json`` holds.

        Args:
            config: as resolved.
            device: it was computed on.
            data: what was read.
            data_hash: of what was learned from.
            more: what belongs to this kind of run.
        """
        return {
            "command": [without_secrets(word) for word in self.command],
            "started": self.at.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.clock, 3),
            "peak_memory_mb": _peak_memory(),
            "peak_gpu_memory_mb": _peak_gpu_memory(device),
            "seed": config.training.seed,
            "data": without_secrets(data),
            "data_hash": data_hash,
            "config_hash": config_hash(config),
            **circumstances(config, device=device),
            **more,
        }


def circumstances(config: Config, *, device: torch.device) -> dict[str, Any]:
    """What the last bits of a result may depend on, beside config and data."""
    return {
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "precision": config.runtime.precision,
        "threads": torch.get_num_threads(),
        "deterministic": config.runtime.deterministic,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {
            "tsforecast": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pandas": pd.__version__,
        },
    }


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Where the circumstances of two runs differ, a line each."""
    versions = [f"{name} {was}" for name, was in then.get("versions", {}).items()]
    others = [name for name in now if name != "versions" and then.get(name) != now[name]]
    changed = [f"{name} {was}" for name, was in now["versions"].items() if f"{name} {was}" not in versions]
    return [f"{name}: {then.get(name)!r} then, {now[name]!r} now" for name in others] + [
        f"{text} now, {then.get('versions', {}).get(text.split()[0], 'unknown')} then" for text in changed
    ]


def config_hash(config: Config) -> str:
    """SHA-256 of ``config.yaml`` as it stands in the run folder."""
    return hashlib.sha256(dump_config(config).encode()).hexdigest()


def _peak_memory() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT / MEGABYTE, 1)


def _peak_gpu_memory(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    return round(torch.cuda.max_memory_allocated(device) / MEGABYTE, 1)

"""Sample paths: each step is drawn, fed back, and the next one drawn from what follows from it.

A head with a distribution draws from that. One without draws the errors it made one step ahead on held-back windows,
the errors of one window one after the other, so that what hangs together in time stays together. A network that says
all steps at once is fed nothing back; it draws the errors of a whole window.

The noise of a path follows from the seed, the name of its series and the number of the path, and from nothing else:
not from the other series in the file, the order of the rows, the chunk, or how many paths there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tsforecast.features.windows import Batch, Features, WindowReader
from tsforecast.recurrent.ensemble import Forecaster
from tsforecast.recurrent.heads import Unit
from tsforecast.recurrent.network import Network
from tsforecast.recurrent.rollout import Draw, rollout, sample_paths, unit_of
from tsforecast.runtime import autocast, flushed_denormals
from tsforecast.series.panel import Cutoffs, FloatArray

__all__ = ["one_sided_units", "paths_of", "remapped", "uniforms"]

# The increments of splitmix64 (Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators), and two odd
# numbers that keep paths and steps apart.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
PATH_STEP = np.uint64(0xD1B54A32D192ED03)
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
# Numbers that one chunk of paths may hold: 64 MB in float32.
CHUNK_VALUES = 16_000_000
# Numbers a network holds per unit and step of a path: four gates and the state.
PER_UNIT = 5
# A side on which hardly any path lies is not told by paths alone.
LEAST_SIDE = 0.1


def uniforms(unique_ids: Sequence[str], *, seed: int, n_paths: int, horizon: int) -> FloatArray:
    """Numbers strictly between 0 and 1, ``(len(unique_ids), n_paths, horizon)``.

    Args:
        unique_ids: names of the series.
        seed: of the run.
        n_paths: paths of each; the first of many are the same as of few.
        horizon: steps of each; likewise.
    """
    keys = np.array([_key(name, seed) for name in unique_ids], dtype=np.uint64)
    with np.errstate(over="ignore"):  # the arithmetic is modulo 2**64
        paths = _mixed(keys[:, None] + np.arange(1, n_paths + 1, dtype=np.uint64) * PATH_STEP)
        bits = _mixed(paths[:, :, None] + np.arange(1, horizon + 1, dtype=np.uint64) * GOLDEN)
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _key(name: str, seed: int) -> int:
    # Names may hold characters that have no UTF-8.
    text = f"{seed}\n{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The output function of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * MIX[0]
    x = (x ^ (x >> np.uint64(27))) * MIX[1]
    return x ^ (x >> np.uint64(31))


@flushed_denormals()
@torch.no_grad()
def paths_of(
    network: Forecaster,
    reader: WindowReader,
    cutoffs: Cutoffs,
    horizon: int,
    *,
    n_paths: int,
    seed: int,
    residuals: FloatArray,
    precision: str = "float32",
) -> FloatArray:
    """Paths in the unit of the reader's panel, ``(n_cutoffs, n_paths, horizon)``.

    All windows and paths are one batch, cut into chunks of bounded memory.

    Args:
        network: to forecast with.
        reader: of the transformed and differenced panel.
        cutoffs: where to forecast from.
        horizon: steps of each path.
        n_paths: paths from each cutoff.
        seed: of the noise.
        residuals: what a head without a distribution draws from, in the unit of the network, ``(n, steps)``.
        precision: of the forward pass.
    """
    features = reader.features
    window = features.history * (features.input_size + PER_UNIT * network.head.linear.in_features)
    path = horizon * (features.input_size + 4) + PER_UNIT * network.head.linear.in_features
    chunk = max(1, CHUNK_VALUES // (window + n_paths * path))
    made = np.empty((len(cutoffs), n_paths, horizon))
    for start in range(0, len(cutoffs), chunk):
        part = cutoffs[start : start + chunk]
        batch = reader.read(part, horizon)
        names = [reader.unique_ids[series] for series in part.series]
        noise = uniforms(names, seed=seed, n_paths=n_paths, horizon=horizon)
        drawn = np.empty_like(noise)
        for k, member in enumerate(network.members):  # the paths are dealt out to them in turn
            dealt = slice(k, None, len(network.members))
            with autocast(precision, reader.device):
                drawn[:, dealt] = _drawn(member, features, batch, noise[:, dealt], residuals)
        scale, center = (unit.cpu().numpy()[:, None] for unit in (batch.scale, batch.center))
        made[start : start + chunk] = drawn * scale + center
    return made


def _drawn(
    network: Network, features: Features, batch: Batch, noise: FloatArray, residuals: FloatArray
) -> FloatArray:
    """Scaled paths of one network, from noise of the same shape, ``(batch, n_paths, horizon)``."""
    n_paths, horizon = noise.shape[1:]
    rows = noise.reshape(-1, horizon)
    if not n_paths:
        return noise
    if network.direct_steps:
        point = rollout(network, features, batch, horizon).float().repeat_interleave(n_paths, dim=0)
        drawn = point + torch.from_numpy(_sequences(rows, residuals)).to(point)
    else:
        draw = _drawing(network, unit_of(batch).repeated(n_paths), rows, residuals)
        drawn = sample_paths(network, features, batch, horizon, draw, n_paths=n_paths)
    return drawn.double().reshape(noise.shape).cpu().numpy()


def _drawing(network: Network, unit: Unit, noise: FloatArray, residuals: FloatArray) -> Draw:
    """What a step's value is drawn by."""
    quantile = network.head.kind.quantile
    if quantile is not None:
        levels = torch.from_numpy(noise).to(unit.center.device)

        def from_distribution(parameters: Tensor, step: int) -> Tensor:
            return quantile(parameters.float().unsqueeze(1), levels[:, step, None], unit).squeeze(1).float()

        return from_distribution
    errors = torch.from_numpy(_sequences(noise, residuals)).float().to(unit.center.device)

    def from_errors(parameters: Tensor, step: int) -> Tensor:
        point = network.head.point(parameters.unsqueeze(1), unit).squeeze(1)
        return point.float() + errors[:, step]

    return from_errors


def _sequences(noise: FloatArray, residuals: FloatArray) -> FloatArray:
    """Errors of whole windows, one window after the other where a path is longer, ``(n, horizon)``."""
    horizon, steps = noise.shape[1], residuals.shape[1]
    window = (noise[:, ::steps] * len(residuals)).astype(np.int64)  # (n, windows in a row)
    return residuals[window].reshape(len(noise), -1)[:, :horizon]


def one_sided_units(
    paths: FloatArray, levels: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """How far paths lie below and above a forecast in the mean, the unit of its intervals, ``(n, horizon)`` each.

    Args:
        paths: ``(n, n_paths, horizon)``.
        levels: forecasts, ``(n, horizon)``.
        scale: of each window, ``(n,)``.
    """
    away = paths - levels[:, None]
    below, above = np.maximum(-away, 0).mean(axis=1), np.maximum(away, 0).mean(axis=1)
    least = LEAST_SIDE * (below + above) + 1e-3 * scale[:, None]
    return np.maximum(below, least), np.maximum(above, least)


def remapped(paths: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Paths that take, at each step, the given quantiles in the order of their own ranks.

    Each step then has the calibrated distribution, and what hangs together in time still does.

    Args:
        paths: ``(n, n_paths, horizon)``.
        quantiles: of levels evenly between 0 and 1, as many as paths, rising, ``(n, horizon, n_paths)``.

    Source: Schefzik, Thorarinsdottir, Gneiting (2013), Uncertainty quantification in complex simulation models using
    ensemble copula coupling, Statistical Science 28(4).
    """
    order = paths.argsort(axis=1, kind="stable")  # ties by the number of the path
    ranks = order.argsort(axis=1)
    taken: FloatArray = np.take_along_axis(quantiles.transpose(0, 2, 1), ranks, axis=1)
    return taken

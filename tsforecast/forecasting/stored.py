"""A fitted model as plain values and arrays, for the run folder, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from tsforecast.config.schema import CELLS_WITH, ModelConfig
from tsforecast.errors import RunError
from tsforecast.features.scaling import Scales
from tsforecast.features.transforms import Transform
from tsforecast.features.windows import Features
from tsforecast.forecasting.forecast import FittedModel
from tsforecast.forecasting.intervals import Spread
from tsforecast.recurrent.ensemble import Forecaster, ensemble_of
from tsforecast.recurrent.network import Network
from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import TimeAxis

__all__ = ["build_network", "fallbacks_from_storage", "from_storage", "tail_from_storage", "to_storage"]

Arrays = dict[str, npt.NDArray[Any]]
WEIGHTS = "weights."
SCALES = "scales."
# What networks of earlier versions do without.
LATER_WEIGHTS = ("mix.weight", "skip.weight")


def build_network(
    settings: ModelConfig, features: Features, *, base: int = 0, direct_steps: int = 0
) -> Network:
    """The network a config asks for, untrained; with ``direct_steps`` one that forecasts so many at once."""
    return Network(
        cell=settings.cell,
        input_size=features.input_size,
        n_values=features.n_values,
        hidden_size=cast(int, settings.hidden_size),
        num_layers=settings.num_layers,
        dropout=settings.dropout,
        bidirectional=settings.bidirectional,
        base=base,
        options=settings.model_dump(include=set(CELLS_WITH)),
        n_categories=features.n_categories,
        head=_head_of(settings),
        direct_steps=direct_steps,
    )


def _head_of(settings: ModelConfig) -> str:
    """The head a config names; runs from before there were any say ``auto``."""
    if settings.head != "auto":
        return settings.head
    return "mse" if settings.cell == "esn" else "mae"


def to_storage(
    model: FittedModel, tail: Panel, fallbacks: Sequence[Panel] = ()
) -> tuple[dict[str, Any], Arrays]:
    """Values for ``model.json`` and arrays for ``model.safetensors``.

    Args:
        model: the fitted model.
        tail: the newest rows of each training series, so that the run can forecast without its source.
        fallbacks: those of series the model does not forecast.
    """
    weights = {WEIGHTS + name: value.cpu().numpy() for name, value in model.network.state_dict().items()}
    arrays = {
        "transform.lambdas": model.transform.lambdas,
        "scales.center": model.scales.center,
        "scales.scale": model.scales.scale,
        "scales.past_center": model.scales.past_center,
        "scales.past_scale": model.scales.past_scale,
        "scales.future_center": model.scales.future_center,
        "scales.future_scale": model.scales.future_scale,
        "scales.static_center": model.scales.static_center,
        "scales.static_scale": model.scales.static_scale,
        "never_negative": model.never_negative,
        "spread.below": model.spread.below,
        "spread.above": model.spread.above,
        "spread.residuals": model.spread.residuals,
        "tail.offsets": tail.offsets,
        "tail.starts": tail.starts,
        "tail.y": tail.y,
        "tail.past": tail.past,
        "tail.future": tail.future,
        "tail.future_offsets": tail.future_offsets,
        "tail.static": tail.static,
    }
    values = {
        "features": model.features.to_json(),
        "transform": {"name": model.transform.name, "difference": model.transform.difference},
        "horizon": model.horizon,
        "precision": model.precision,
        "non_negative": model.non_negative,
        "spread": {
            "n_windows": model.spread.n_windows,
            "source": model.spread.source,
            "groups": dict(model.spread.groups),
        },
        "direct_steps": model.network.direct_steps,
        "members": len(model.network.members),
        "seed": model.seed,
        "n_paths": model.n_paths,
        "integer": model.integer,
        "axis": tail.axis.to_json(),
        "unique_ids": list(model.unique_ids),
        "fallbacks": [
            {"axis": panel.axis.to_json(), "unique_ids": list(panel.unique_ids)} for panel in fallbacks
        ],
        "tail_categories": {name: list(words) for name, words in tail.categories.items()},
    }
    if model.falls_back is not None:
        arrays["falls_back"] = model.falls_back
    for number, panel in enumerate(fallbacks):
        for name in ("offsets", "starts", "y"):
            arrays[f"fallback.{number}.{name}"] = getattr(panel, name)
    return values, weights | arrays


def from_storage(
    values: Mapping[str, Any], arrays: Arrays, settings: ModelConfig, *, device: torch.device
) -> FittedModel:
    """The model that :func:`to_storage` took apart, on ``device``, whatever it was trained on.

    Raises:
        RunError: weights and settings do not fit each other.
    """
    features, direct_steps = Features.from_json(values["features"]), values.get("direct_steps", 0)
    n_members = values.get("members", 1)
    asked = 1 if settings.ensemble == "auto" else settings.ensemble  # auto: from before there were several
    if n_members != asked:
        raise RunError(f"model.json: has {n_members!r} members, and config.yaml asks for {asked}.")
    _check_shapes(arrays, settings, features, n_members=n_members, direct_steps=direct_steps)
    network = ensemble_of(
        [build_network(settings, features, direct_steps=direct_steps) for _ in range(n_members)]
    )
    _load_weights(network, arrays)
    return FittedModel(
        network=network.to(device).eval(),
        features=features,
        unique_ids=tuple(values["unique_ids"]),
        transform=_transform(values, arrays),
        scales=Scales(
            **{name.removeprefix(SCALES): array for name, array in arrays.items() if name.startswith(SCALES)}
        ),
        never_negative=arrays["never_negative"],
        spread=_spread(values, arrays),
        horizon=values["horizon"],
        non_negative=values["non_negative"],
        precision=values["precision"] if device.type == "cuda" else "float32",
        seed=values.get("seed", 1),
        n_paths=values.get("n_paths", 20),
        integer=values.get("integer", False),
        falls_back=arrays.get("falls_back"),
    )


def _check_shapes(
    arrays: Arrays, settings: ModelConfig, features: Features, *, n_members: int, direct_steps: int
) -> None:
    """Compares the weights with those the settings ask for, before any memory is taken for them.

    Raises:
        RunError: names the first that differs.
    """
    with torch.device("meta"):
        members = [build_network(settings, features, direct_steps=direct_steps) for _ in range(n_members)]
    for name, weight in ensemble_of(members).state_dict().items():
        array = arrays.get(WEIGHTS + name)
        if array is not None and array.shape != tuple(weight.shape):
            raise RunError(
                f"model.safetensors: {WEIGHTS + name!r} has the shape {array.shape}, and config.yaml asks for "
                f"{tuple(weight.shape)}; restore the folder from a copy, or train again."
            )
        if array is None and name not in LATER_WEIGHTS:
            raise RunError(
                f"model.safetensors: {WEIGHTS + name!r} is missing, which config.yaml asks for; restore the folder "
                "from a copy, or train again."
            )


def _load_weights(network: Forecaster, arrays: Arrays) -> None:
    """Puts the stored weights into the network.

    Raises:
        RunError: they do not fit it.
    """
    weights = {
        name.removeprefix(WEIGHTS): torch.from_numpy(array.copy())
        for name, array in arrays.items()
        if name.startswith(WEIGHTS)
    }
    now = network.state_dict()
    for name in LATER_WEIGHTS:
        if name in now:
            weights.setdefault(name, torch.zeros_like(now[name]))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"model.safetensors: the weights do not fit the settings in config.yaml: {error}"
        ) from error


def _spread(values: Mapping[str, Any], arrays: Arrays) -> Spread:
    """The interval widths of a run; one that was written before there was a calibration part took the validation's."""
    if "spread" not in values:
        widths = arrays["spread.half_widths"][None]
        return Spread(below=widths, above=widths, n_windows=values["spread_windows"], source="validation")
    return Spread(
        below=arrays["spread.below"],
        above=arrays["spread.above"],
        residuals=arrays["spread.residuals"],
        **values["spread"],
    )


def _transform(values: Mapping[str, Any], arrays: Arrays) -> Transform:
    """The transform of a run; one that was written before there were any has none."""
    stored = values.get("transform", {"name": "none", "difference": 0})
    lambdas = arrays.get("transform.lambdas", np.ones(len(values["unique_ids"])))
    return Transform(name=stored["name"], difference=stored["difference"], lambdas=lambdas)


def tail_from_storage(values: Mapping[str, Any], arrays: Arrays) -> Panel:
    """The newest rows of the training series."""
    return Panel(
        axis=TimeAxis.from_json(values["axis"]),
        unique_ids=tuple(values["unique_ids"]),
        offsets=arrays["tail.offsets"],
        starts=arrays["tail.starts"],
        y=np.ascontiguousarray(arrays["tail.y"]),
        past=arrays["tail.past"],
        past_names=tuple(values["features"]["past"]),
        **_known_covariates(values, arrays),
    )


def fallbacks_from_storage(values: Mapping[str, Any], arrays: Arrays) -> tuple[Panel, ...]:
    """The newest rows of the series the model does not forecast."""
    panels = []
    for number, stored in enumerate(values.get("fallbacks", ())):
        y = np.ascontiguousarray(arrays[f"fallback.{number}.y"])
        panels.append(
            Panel(
                axis=TimeAxis.from_json(stored["axis"]),
                unique_ids=tuple(stored["unique_ids"]),
                offsets=arrays[f"fallback.{number}.offsets"],
                starts=arrays[f"fallback.{number}.starts"],
                y=y,
                past=np.empty((len(y), 0)),
            )
        )
    return tuple(panels)


def _known_covariates(values: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Future and static covariates of a tail; runs of earlier versions have none."""
    if "tail.future" not in arrays:
        return {}
    return {
        "future": arrays["tail.future"],
        "future_offsets": arrays["tail.future_offsets"],
        "future_names": tuple(values["features"]["future"]),
        "static": arrays["tail.static"],
        "static_names": tuple(values["features"]["static"]),
        "categories": {name: tuple(words) for name, words in values["tail_categories"].items()},
    }

"""What only a GPU can show; skipped where there is none."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from synthetic import seasonal_frame

from tsforecast.config.load import config_from_mapping
from tsforecast.training.fit import Watcher
from tsforecast.workflows.predict import load_run, predict
from tsforecast.workflows.train import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")

FRAME = seasonal_frame(n_series=3, length=72)


def config(**changes: object):  # type: ignore[no-untyped-def]
    settings: dict[str, object] = {
        "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
        "horizon": 6,
        "model": {"hidden_size": 16, "cell": "lstm", "num_layers": 2, "dropout": 0.1},
        "training": {"max_steps": 20, "batch_size": 16},
        "runtime": {"device": "cuda"},
    }
    return config_from_mapping(settings | changes)


def test_a_model_trained_on_the_gpu_forecasts_the_same_on_the_cpu(tmp_path: Path) -> None:
    trained = train(config(), path=tmp_path / "run", source=FRAME)
    assert trained.model.device.type == "cuda"
    on_cpu, _ = predict(load_run(tmp_path / "run", device="cpu"))
    pd.testing.assert_frame_equal(on_cpu, trained.forecast, rtol=1e-4)


def test_an_interrupted_gpu_training_is_resumed(tmp_path: Path) -> None:
    straight = train(config(), path=tmp_path / "straight", source=FRAME)
    seen: list[int] = []
    watcher = Watcher(on_step=seen.append, stop_signal=lambda: 15 if len(seen) == 7 else None)
    with pytest.raises(Exception, match="--resume"):
        train(config(), path=tmp_path / "run", source=FRAME, watcher=watcher)
    resumed = train(config(), path=tmp_path / "run", source=FRAME, resume=True)
    pd.testing.assert_frame_equal(resumed.forecast, straight.forecast, rtol=1e-4)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "bilstm"])
def test_lower_precisions_train_to_a_similar_forecast(tmp_path: Path, precision: str, cell: str) -> None:
    model = {"hidden_size": 16, "cell": cell}
    exact = train(config(model=model), path=tmp_path / "exact", source=FRAME).forecast
    runtime = {"device": "cuda", "precision": precision}
    rough = train(config(model=model, runtime=runtime), path=tmp_path / "rough", source=FRAME).forecast
    spread = FRAME["y"].std()
    assert (exact["y_hat"] - rough["y_hat"]).abs().mean() < 0.2 * spread

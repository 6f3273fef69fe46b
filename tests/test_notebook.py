import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from synthetic import seasonal_frame

import tsforecast


def test_the_public_names_are_these() -> None:
    assert tsforecast.__all__ == ["Run", "TsforecastError", "__version__", "load", "train"]
    assert all(hasattr(tsforecast, name) for name in tsforecast.__all__)
    assert dir(tsforecast) == tsforecast.__all__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        tsforecast.trian  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, tsforecast; print({'torch', 'numpy', 'pandas', 'pydantic', 'typer'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_train_load_and_predict_with_frames(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=2, length=60)
    config = {
        "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
        "horizon": 4,
        "training": {"max_steps": 5},
    }
    trained = tsforecast.train(config, run=tmp_path / "run", data=frame)
    assert trained.scores is not None
    expected = trained.predict()
    assert list(expected.columns[:5]) == ["unique_id", "ds", "cutoff", "lead_time", "y_hat"]
    loaded = tsforecast.load(tmp_path / "run")
    pd.testing.assert_frame_equal(loaded.predict(frame), expected, check_exact=True)
    assert loaded.predict(horizon=9, quantile_levels=[0.2])["lead_time"].max() == 9

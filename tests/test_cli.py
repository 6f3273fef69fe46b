import io
import json
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_frame

from tsforecast.cli.console import duration
from tsforecast.cli.main import run
from tsforecast.config.schema import Cell

CONFIG = """\
data:
  path: sales.csv
  time: month
  target: sales
  id: shop
horizon: 4
model:
  hidden_size: 8
training:
  max_steps: 6
  batch_size: 16
"""


def write_job(folder: Path, config: str = CONFIG) -> Path:
    """A CSV and its config in an empty folder."""
    frame = seasonal_frame(n_series=2, length=60).rename(
        columns={"unique_id": "shop", "ds": "month", "y": "sales"}
    )
    frame.to_csv(folder / "sales.csv", index=False)
    (folder / "sales.yaml").write_text(config)
    return folder


def tsforecast(*words: str | Path) -> int:
    """Runs the command line in this process and returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tsforecast", *map(str, words)])
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            return run()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_job(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_job(tmp_path_factory.mktemp("cli"))
    assert tsforecast("train", folder / "sales.yaml", "--run", folder / "run") == 0
    return folder / "run"


def test_train_may_wait_as_long_as_it_takes(job: Path) -> None:
    assert tsforecast("train", "sales.yaml", "--wait", "--overwrite") == 0
    assert (job / "runs" / "sales" / "manifest.json").exists()


def test_train_prints_the_scores_to_stdout_and_is_silent_when_nobody_watches(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("train", "sales.yaml") == 0
    out, err = capfd.readouterr()
    assert "seasonal_naive" in out
    assert "run folder: runs/sales" in out
    (warning,) = err.splitlines()  # nothing but what the user should know of series as short as these
    assert "the intervals rest on" in warning
    assert (job / "runs" / "sales" / "manifest.json").exists()


def test_verbose_says_what_is_done_and_how_long_it_will_take(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("train", "sales.yaml", "-v", "--log-file", "log.txt") == 0
    _, err = capfd.readouterr()
    assert "2 series of 60 steps at frequency 'MS'" in err
    assert "training: at most 6 steps of 16 windows, about" in err
    assert "training: at most 6 steps" in (job / "log.txt").read_text()


@pytest.mark.usefixtures("job")
def test_json_is_exactly_one_document(capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("train", "sales.yaml", "--json") == 0
    document = json.loads(capfd.readouterr().out)
    assert document["run"] == "runs/sales"
    assert document["model"] == "lstm"


def test_set_changes_the_config_and_is_stored_with_the_run(job: Path) -> None:
    assert tsforecast("train", "sales.yaml", "--set", "model.cell=bigru", "--set", "horizon=3", "-q") == 0
    forecast = pd.read_csv(job / "runs" / "sales" / "forecast.csv")
    assert forecast["lead_time"].max() == 3
    assert json.loads((job / "runs" / "sales" / "model.json").read_text())["cell"] == "bigru"
    config = (job / "runs" / "sales" / "config.yaml").read_text()
    assert f"path: {job / 'sales.csv'}" in config
    assert "auto" not in config.replace("device: auto", "").replace("threads: auto", "").replace(
        "non_negative: auto", ""
    ).replace("separator: auto", "").replace("decimal: auto", "").replace("time_format: auto", "")


@pytest.mark.usefixtures("job")
def test_a_skill_that_is_not_reached_exits_with_6_after_writing_the_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert tsforecast("train", "sales.yaml", "--require-skill", "0.999") == 6
    assert "asks for more than 0.999" in capfd.readouterr().err
    assert Path("runs/sales/manifest.json").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["train", "sales.yaml", "--set", "model.cell=lsmt"], 2, "Did you mean 'lstm'?"),
        (["train", "sales.yaml", "--set", "horizen=3"], 2, "horizon"),
        (["train", "sales.yaml", "--set", "data.target=sale"], 3, "sales"),
        (["train", "sales.yaml", "--set", "data.path=gone.csv"], 3, "gone.csv"),
        (["train", "sales.yaml", "--resume"], 2, "no interrupted training"),
        (["train", "sales.yaml", "--log-file", "gone/log.txt"], 2, "gone/log.txt"),
        (["predict", "nowhere"], 4, "nowhere"),
    ],
)
def test_what_is_wrong_is_one_message_and_its_exit_code_and_writes_nothing(
    job: Path, capfd: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    before = sorted(job.rglob("*"))
    assert tsforecast(*words) == code
    out, err = capfd.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert sorted(job.rglob("*")) == before


@pytest.mark.parametrize(
    "words", [["trian"], ["train"], ["predict", "run", "--horizon", "0"], ["train", "x", "--no"]]
)
def test_wrong_usage_exits_with_2(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast(*words) == 2
    assert "Usage" in capfd.readouterr().err


def test_a_second_train_into_the_same_run_is_refused(
    trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "manifest.json").read_bytes()
    assert tsforecast("train", trained.parent / "sales.yaml", "--run", trained) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert (trained / "manifest.json").read_bytes() == before


def test_predict_writes_csv_to_stdout(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("predict", trained, "--quantiles", "0.25,0.75") == 0
    out, err = capfd.readouterr()
    frame = pd.read_csv(io.StringIO(out))
    assert list(frame.columns) == ["unique_id", "ds", "cutoff", "lead_time", "y_hat", "q0.25", "q0.75"]
    assert len(frame) == 2 * 4
    assert err == ""


def test_predict_writes_sample_paths_beside_the_forecast(trained: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "paths.csv", tmp_path / "paths.parquet"):
        assert tsforecast("predict", trained, "--paths", "7", "--paths-out", out, "--horizon", "4") == 0
    paths = pd.read_csv(tmp_path / "paths.csv")
    assert list(paths.columns) == ["unique_id", "ds", "cutoff", "lead_time", "path", "y_hat"]
    assert len(paths) == 7 * 4 * paths["unique_id"].nunique()
    assert paths["y_hat"].tolist() == pytest.approx(pd.read_parquet(tmp_path / "paths.parquet")["y_hat"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--paths", "7"], "name it with --paths-out FILE"),
        (["--out", "f.csv", "--paths-out", "f.csv"], "is where the forecast goes"),
        (["--paths-out", "f.json"], "would be '.json'"),
    ],
)
def test_paths_without_a_place_of_their_own_are_refused(
    trained: Path, words: list[str], problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("predict", trained, *words) == 2
    assert problem in capfd.readouterr().err


def test_predict_reads_stdin_and_writes_files_and_pictures(trained: Path, tmp_path: Path) -> None:
    csv = (trained.parent / "sales.csv").read_bytes()
    command = [sys.executable, "-m", "tsforecast", "predict", str(trained), "-", "--horizon", "7"]
    command += ["--names", "input", "--out", str(tmp_path / "f.parquet"), "--plot", str(tmp_path / "plots")]
    done = subprocess.run(command, input=csv, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    frame = pd.read_parquet(tmp_path / "f.parquet")
    assert list(frame.columns)[:2] == ["shop", "month"]
    assert frame["lead_time"].max() == 7
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["forecast.png"]


def test_a_full_disk_behind_stdout_exits_with_7(trained: Path) -> None:
    command = [sys.executable, "-m", "tsforecast", "predict", str(trained)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 7
    assert (
        done.stderr
        == "tsforecast: stdout cannot be written: No space left on device; free some space there.\n"
    )


def test_a_reader_that_has_seen_enough_is_no_error(trained: Path) -> None:
    command = f"{sys.executable} -m tsforecast predict {trained} --horizon 10000 | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_with_its_code_and_resume_goes_on(job: Path, number: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "tsforecast",
        "train",
        "sales.yaml",
        "-v",
        "--set",
        "training.max_steps=400",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 32"):
                process.send_signal(number)
                break
        rest = process.stderr.read()
    assert process.returncode == 128 + number
    assert "Traceback" not in rest
    assert "--resume" in rest
    assert not (job / "runs" / "sales").exists()
    command = [*command, "--resume"]
    resumed = subprocess.run(command, capture_output=True, text=True)
    assert resumed.returncode == 0
    assert "step 16:" not in resumed.stderr
    straight = [*command[:-1], "--run", "straight"]
    subprocess.run(straight, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    weights = [(job / run / "model.safetensors").read_bytes() for run in ("runs/sales", "straight")]
    assert weights[0] == weights[1]


def test_a_pruned_environment_is_enough(job: Path) -> None:
    command = [sys.executable, "-m", "tsforecast", "train", "sales.yaml", "-q"]
    done = subprocess.run(command, env={"LANG": "C"}, stdin=subprocess.DEVNULL, capture_output=True, cwd=job)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""


def test_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    import tsforecast as package

    assert tsforecast("--version") == 0
    assert capfd.readouterr().out == f"tsforecast {package.__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["init"], ["train"], ["predict"], ["inspect"], ["compare"], ["config"], ["config", "show"]]
)
def test_every_command_has_help_that_begins_with_an_example(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast(*words, "--help") == 0
    out = capfd.readouterr().out
    assert f"tsforecast {' '.join(words)}".strip() in out
    assert all(len(line) <= 120 for line in out.splitlines())


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_each_cell_trains_and_forecasts_a_panel_in_its_own_way(job: Path) -> None:
    y_hat = {}
    for cell in get_args(Cell):
        assert tsforecast("train", "sales.yaml", "-q", "--set", f"model.cell={cell}", "--run", cell) == 0
        assert tsforecast("predict", cell, "--out", f"{cell}.csv") == 0
        assert json.loads(Path(cell, "model.json").read_text())["cell"] == cell
        y_hat[cell] = pd.read_csv(f"{cell}.csv")["y_hat"]
        assert len(y_hat[cell]) == 2 * 4
    for one, other in combinations(y_hat, 2):
        assert not np.allclose(y_hat[one], y_hat[other], rtol=1e-6), (one, other)


SIGNALLED = """
import logging, os, signal, sys, time
from tsforecast.cli import console, main
class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
class Writing:
    def write(self, text):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    def flush(self): ...
def while_closing():
    Closing()
    time.sleep(20)
def while_a_message_is_written():
    console.start_messages(quiet=False, verbose=False, log_file=None)
    logging.getLogger("tsforecast").handlers[0].stream = Writing()
    logging.getLogger("tsforecast").warning("x")
    time.sleep(20)
main.app = globals()[sys.argv[1]]
began = time.monotonic()
code = main.run()
sys.exit(code if time.monotonic() - began < 10 else "it went on")
"""


@pytest.mark.parametrize("moment", ["while_closing", "while_a_message_is_written"])
def test_a_signal_is_not_lost_where_python_swallows_what_is_raised(moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALLED, moment], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (143, "tsforecast: stopped by SIGTERM.\n")

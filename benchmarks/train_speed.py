"""Training windows per second: this project, a plain torch loop, and neuralforecast where it is installed.

    python benchmarks/train_speed.py [--seconds 10] [--rounds 3]

The same task for all: windows of 168 hourly steps, 24 steps ahead, an LSTM of 64 units, absolute error, one CPU
thread, trained open loop. Each side runs with glibc's default allocator and with the one `tsforecast train` sets
(`runtime.keep_freed_memory`), in a process of its own because that setting belongs to a process. The rounds are
interleaved and the medians are compared; time is CPU time of the one thread, which a busy machine disturbs least.

What a window costs differs by design: tsforecast reads 168 + 23 steps and takes a loss at each of the 24 steps to
forecast; the plain loop and neuralforecast read 168 steps and forecast all 24 from the last state.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

LOOKBACK, HORIZON, HIDDEN = 168, 24, 64
N_SERIES, LENGTH = 50, 1000
SETUPS = ((1, 64), (2, 256))  # layers, batch


def main() -> None:
    """Measures all sides in turn and prints the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=10.0, help="length of one measurement")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--measure", nargs=4, metavar=("SIDE", "KEEP", "LAYERS", "BATCH"), help=argparse.SUPPRESS
    )
    options = arguments.parse_args()
    if options.measure:
        side, keep, layers, batch = options.measure
        print(json.dumps(measure(side, keep == "1", int(layers), int(batch), options.seconds)))
        return
    sides = ["tsforecast", "plain torch"]
    if importlib.util.find_spec("neuralforecast"):
        sides.append("neuralforecast")
    else:
        print("neuralforecast is not installed, so it is not measured")
    for layers, batch in SETUPS:
        compare(sides, layers, batch, seconds=options.seconds, rounds=options.rounds)


def compare(sides: list[str], layers: int, batch: int, *, seconds: float, rounds: int) -> None:
    """Runs every side with both allocator settings, interleaved, and prints one table."""
    cases = [(side, keep) for side in sides for keep in (False, True)]
    found: dict[tuple[str, bool], list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for side, keep in cases:
            command = [sys.executable, __file__, "--seconds", str(seconds), "--measure", side]
            command += [str(int(keep)), str(layers), str(batch)]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found[side, keep].append(json.loads(result.stdout.splitlines()[-1]))
    speed = {case: statistics.median(values) for case, values in found.items()}
    ours = speed["tsforecast", True]
    print(
        f"\nLSTM, {layers} layer(s) of {HIDDEN}, batch {batch}: median windows per CPU second of {rounds} rounds"
    )
    print(f"{'side':16}{'default malloc':>16}{'memory kept':>14}{'tsforecast train is faster by':>42}")
    for side in sides:
        default, kept = speed[side, False], speed[side, True]
        ratios = f"{ours / default:.2f} x its default, {ours / kept:.2f} x its kept"
        print(f"{side:16}{default:16.0f}{kept:14.0f}{ratios:>42}")


def measure(side: str, keep: bool, layers: int, batch: int, seconds: float) -> float:
    """Windows per second of one side in this process."""
    import torch

    from tsforecast.runtime import flushed_denormals, keep_freed_memory

    torch.set_num_threads(1)
    if keep and not keep_freed_memory():
        raise SystemExit("this C library has no mallopt")
    if side == "neuralforecast":
        return neuralforecast_speed(layers, batch, seconds)
    if side == "plain torch":
        return steps_per_second(plain_step(layers, batch), seconds) * batch
    with flushed_denormals():  # as fit() does
        return steps_per_second(tsforecast_step(layers, batch), seconds) * batch


def steps_per_second(step: Callable[[], None], seconds: float) -> float:
    """Steps per CPU second, after some to warm up."""
    for _ in range(3):
        step()
    steps, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        step()
        steps += 1
    return steps / (time.process_time() - started)


def tsforecast_step(layers: int, batch: int) -> Callable[[], None]:
    """One step of this project's loop: draw, gather by index, forward, loss, backward, clip, update."""
    import numpy as np
    import pandas as pd
    import torch

    from tsforecast.features.scaling import fit_scales
    from tsforecast.features.windows import Features, WindowReader
    from tsforecast.recurrent.network import Network
    from tsforecast.series.panel import Panel
    from tsforecast.series.timeaxis import TimeAxis
    from tsforecast.training.fit import GRADIENT_NORM, batch_loss
    from tsforecast.training.plan import Plan
    from tsforecast.training.sampler import Sampler, training_cutoffs

    panel = Panel(
        axis=TimeAxis(freq="h", origin=pd.Timestamp("2024-01-01")),
        unique_ids=tuple(f"s{k}" for k in range(N_SERIES)),
        offsets=np.arange(N_SERIES + 1) * LENGTH,
        starts=np.zeros(N_SERIES, np.int64),
        y=series().ravel(),
        past=np.empty((N_SERIES * LENGTH, 0)),
    )
    features = Features(lookback=LOOKBACK, lags=(), calendar=(), past=(), scaling="window", season_length=24)
    plan = Plan(
        steps=10**6,
        batch_size=batch,
        learning_rate=1e-3,
        closed_loop=0.0,
        horizon=HORIZON,
        validate_every=10**6,
        patience=1,
        seed=1,
    )
    scales = fit_scales(panel, season_length=24, scaling="standard")
    reader = WindowReader(panel, features, scales, horizon=HORIZON, device=torch.device("cpu"))
    windows = training_cutoffs(panel, horizon=HORIZON, lookback=LOOKBACK, season_length=24)
    sampler = Sampler(reader, windows, plan)
    network = Network(
        cell="lstm",
        input_size=features.input_size,
        n_values=features.n_values,
        hidden_size=HIDDEN,
        num_layers=layers,
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        loss = batch_loss(network, features, sampler.read(*sampler.draw()), plan, closed=False)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
        optimizer.step()

    return step


def plain_step(layers: int, batch: int) -> Callable[[], None]:
    """What an engineer writes first: an LSTM, a linear head on its last state, Adam, windows by index."""
    import torch

    y = torch.tensor(series(), dtype=torch.float32)
    y = (y - y.mean()) / y.std()
    lstm = torch.nn.LSTM(1, HIDDEN, layers, batch_first=True)
    head = torch.nn.Linear(HIDDEN, HORIZON)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=1e-3)
    steps = torch.arange(LOOKBACK + HORIZON)

    def step() -> None:
        row = torch.randint(N_SERIES, (batch, 1))
        first = torch.randint(LENGTH - LOOKBACK - HORIZON, (batch, 1))
        window = y[row, first + steps]
        hidden, _ = lstm(window[:, :LOOKBACK, None])
        loss = (head(hidden[:, -1]) - window[:, LOOKBACK:]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def neuralforecast_speed(layers: int, batch: int, seconds: float) -> float:
    """The LSTM of neuralforecast by its own trainer: the time of many steps less that of few, without its start."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MAE
    from neuralforecast.models import LSTM

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    table = pd.DataFrame(
        {
            "unique_id": [f"s{k}" for k in range(N_SERIES) for _ in range(LENGTH)],
            "ds": list(pd.date_range("2024-01-01", periods=LENGTH, freq="h")) * N_SERIES,
            "y": series().ravel(),
        }
    )

    def seconds_of(steps: int) -> float:
        model = LSTM(
            h=HORIZON,
            input_size=LOOKBACK,
            encoder_hidden_size=HIDDEN,
            encoder_n_layers=layers,
            decoder_layers=1,
            decoder_hidden_size=HIDDEN,
            loss=MAE(),
            max_steps=steps,
            windows_batch_size=batch,
            batch_size=N_SERIES,
            scaler_type="standard",
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        started = time.process_time()
        NeuralForecast([model], freq="h").fit(table)
        return time.process_time() - started

    seconds_of(2)
    few = 5
    more = few + max(10, round(seconds * 1500 / batch / layers**2))
    return (more - few) * batch / (seconds_of(more) - seconds_of(few))


def series():  # type: ignore[no-untyped-def]
    """Hourly series with a daily cycle, ``(N_SERIES, LENGTH)``."""
    import numpy as np

    t = np.arange(LENGTH)
    random = np.random.default_rng(0)
    return 10 + 3 * np.sin(2 * np.pi * t / 24) + random.normal(0, 0.3, (N_SERIES, LENGTH))


if __name__ == "__main__":
    main()

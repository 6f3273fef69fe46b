"""A run folder is written whole, read as one version, and refused when anything in it is not as written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import failing, full_disk, ignore
from safetensors.numpy import save

from tsforecast import runs
from tsforecast.config.load import config_from_mapping, dump_config
from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError, ResourceError, RunError
from tsforecast.runs import FORMAT_VERSION, Run, check_target, new_run, open_run, verify_run, write_model

CONFIG = {"data": {"path": "/data/load.csv", "time": "ds", "target": "y"}, "horizon": 24}
FILES = ("config.yaml", "metrics.json", "model.json", "model.safetensors")
KILL_SWEEP = Path(__file__).with_name("kill_sweep.py")


def config() -> Config:
    return config_from_mapping(CONFIG)


def arrays_of(version: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"weights": np.full((4, 3), version, np.float32), "scale": np.asarray(float(version))}


def write_run(path: Path, version: int = 1, *, overwrite: bool = False) -> None:
    """A small run; every file of it holds the same version number."""
    with new_run(path, overwrite=overwrite) as folder:
        fill(folder, version)


def write_while(event: Callable[[], None], path: Path, *, overwrite: bool = False) -> None:
    """Version 9, with something happening before it is finished."""
    with new_run(path, overwrite=overwrite) as folder:
        fill(folder, 9)
        event()


def interrupt() -> None:
    raise KeyboardInterrupt


def fill(folder: Path, version: int) -> None:
    write_model(
        folder, model={"version": version, "unique_ids": ["Zürich", "\ud800"]}, arrays=arrays_of(version)
    )
    (folder / "config.yaml").write_text(dump_config(config(), header=f"version {version}"))
    (folder / "metrics.json").write_text(json.dumps({"version": version}))
    (folder / "forecast.csv").write_text(f"unique_id,ds,y_hat\na,2024-01-01,{version}\n")
    (folder / "plots").mkdir()
    (folder / "plots" / "forecast.png").write_bytes(b"\x89PNG" + bytes([version]))


def versions(run: Run) -> set[float]:
    """The version numbers in the files of a run: one, when it was read whole."""
    assert run.metrics is not None
    weights = {float(value) for value in run.arrays["weights"].flat}
    return {run.model["version"], run.metrics["version"], float(run.arrays["scale"]), *weights}


def flip(file: Path, offset: int) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 1
    file.write_bytes(content)


def list_again(path: Path) -> None:
    """A manifest that fits the files as they are: what a forger would write."""
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "manifest.json"]
    entries = {
        file.relative_to(path).as_posix(): {
            "size": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    }
    (path / "manifest.json").write_text(json.dumps({"format_version": 1, "files": entries}))


def change_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    write_run(path)
    return path


class TestWriting:
    def test_what_was_written_is_read_back(self, run: Path) -> None:
        opened = open_run(run)

        assert opened.path == run
        assert opened.config == config()
        assert opened.model == {
            "version": 1,
            "unique_ids": ["Zürich", "\ud800"],
            "format_version": FORMAT_VERSION,
        }
        assert opened.metrics == {"version": 1}
        assert opened.arrays.keys() == {"weights", "scale"}
        np.testing.assert_array_equal(opened.arrays["weights"], np.ones((4, 3), np.float32))

    @pytest.mark.parametrize(
        "array",
        [
            np.arange(6.0).reshape(2, 3).T,
            np.arange(10)[::-2],
            np.asarray(2.5),
            np.zeros((3, 0)),
            np.array([True, False]),
            np.array([2**53 + 1], np.int64),
            np.array([1e-300, -1e300, 5e-324]),
            np.array([1.5, 2.5], ">f8"),
        ],
        ids=["transposed", "reversed", "scalar", "empty", "boolean", "long", "extreme", "big endian"],
    )
    def test_an_array_keeps_its_values_and_its_shape(
        self, array: np.ndarray[Any, Any], tmp_path: Path
    ) -> None:
        with new_run(tmp_path / "run") as folder:
            fill(folder, 1)
            write_model(folder, model={}, arrays={"a": array})

        stored = open_run(tmp_path / "run").arrays["a"]

        np.testing.assert_array_equal(stored, array, strict=array.dtype.isnative)

    def test_the_same_model_is_the_same_bytes(self, tmp_path: Path) -> None:
        forwards, backwards = tmp_path / "forwards", tmp_path / "backwards"
        forwards.mkdir()
        backwards.mkdir()
        arrays = arrays_of(1)

        write_model(forwards, model={"a": 1}, arrays=arrays)
        write_model(backwards, model={"a": 1}, arrays=dict(reversed(arrays.items())))

        for name in ("model.json", "model.safetensors"):
            assert (forwards / name).read_bytes() == (backwards / name).read_bytes()

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_model_that_no_reader_would_accept_is_not_written(self, value: float, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"not finite: \['weights.bias'\]"):
            write_model(tmp_path, model={}, arrays={"weights.bias": np.array([0.0, value])})

        assert names(tmp_path) == []

    def test_the_manifest_has_size_and_hash_of_each_file_but_derived_ones(self, tmp_path: Path) -> None:
        with new_run(tmp_path / "run") as folder:
            (folder / "a.txt").write_bytes(b"abc")
            (folder / "plots").mkdir()
            (folder / "plots" / "b.txt").write_bytes(b"")
            (folder / "derived").mkdir()
            (folder / "derived" / "report.html").write_bytes(b"later")

        manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())

        assert manifest == {
            "format_version": FORMAT_VERSION,
            "files": {  # the hashes are FIPS 180-2's of "abc" and of nothing
                "a.txt": {
                    "size": 3,
                    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                },
                "plots/b.txt": {
                    "size": 0,
                    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                },
            },
        }

    def test_missing_parents_are_made(self, tmp_path: Path) -> None:
        write_run(tmp_path / "runs" / "demo" / "first")

        assert verify_run(tmp_path / "runs" / "demo" / "first") == []

    def test_a_run_may_be_reached_through_a_symbolic_link(self, run: Path) -> None:
        link = run.with_name("latest")
        link.symlink_to("run")

        write_run(link, 2, overwrite=True)

        assert link.is_symlink()
        assert versions(open_run(link)) == versions(open_run(run)) == {2}

    def test_metrics_may_be_missing(self, tmp_path: Path) -> None:
        with new_run(tmp_path / "run") as folder:
            fill(folder, 1)
            (folder / "metrics.json").unlink()

        assert open_run(tmp_path / "run").metrics is None


class TestPlaces:
    def test_a_run_that_exists_is_kept_and_both_ways_on_are_named(self, run: Path) -> None:
        with pytest.raises(ConfigError, match=r"run: exists already; use --overwrite .*, --resume"):
            write_run(run, 2)

        assert versions(open_run(run)) == {1}
        assert names(run.parent) == ["run"]

    def test_overwrite_replaces_a_run_and_what_was_derived_from_it(self, run: Path) -> None:
        (run / "derived").mkdir()

        write_run(run, 2, overwrite=True)

        assert versions(open_run(run)) == {2}
        assert "derived" not in names(run)
        assert names(run.parent) == ["run"]

    def test_a_damaged_run_can_be_overwritten(self, run: Path) -> None:
        flip(run / "model.safetensors", -1)
        (run / "config.yaml").unlink()

        write_run(run, 2, overwrite=True)

        assert versions(open_run(run)) == {2}

    @pytest.mark.parametrize("present", [[], ["thesis.tex"], ["manifest.json", "index.html"], ["model.json"]])
    def test_overwrite_does_not_replace_a_folder_that_is_no_run(
        self, present: list[str], tmp_path: Path
    ) -> None:
        folder = tmp_path / "thesis"
        folder.mkdir()
        for name in present:
            (folder / name).write_text("{}")

        with pytest.raises(ConfigError, match=r"thesis: is not a run folder .* remove it yourself"):
            write_run(folder, overwrite=True)

        assert names(folder) == sorted(present)

    def test_overwrite_does_not_replace_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("precious")

        with pytest.raises(ConfigError, match="run: is not a run folder"):
            write_run(tmp_path / "run", overwrite=True)

        assert (tmp_path / "run").read_text() == "precious"

    def test_a_place_below_a_file_is_refused_before_the_work(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")

        with pytest.raises(ConfigError, match=r"run: nothing can be written in '.*/file'"):
            check_target(tmp_path / "file" / "run", overwrite=False)

    def test_a_place_that_may_not_be_written_is_refused_before_the_work(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere

        with pytest.raises(ConfigError, match=r"run: nothing can be written in '.*'; choose another"):
            check_target(tmp_path / "runs" / "run", overwrite=False)

    def test_a_free_place_is_accepted_and_left_as_it_is(self, tmp_path: Path) -> None:
        check_target(tmp_path / "runs" / "first", overwrite=False)

        assert names(tmp_path) == []

    def test_of_two_writers_of_a_new_run_the_first_to_finish_wins(self, tmp_path: Path) -> None:
        path = tmp_path / "run"

        with pytest.raises(ConfigError, match="exists already"):
            write_while(lambda: write_run(path, 2), path)

        assert versions(open_run(path)) == {2}
        assert names(tmp_path) == ["run"]


class TestFaults:
    def test_an_error_in_the_block_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            write_while(interrupt, tmp_path / "run")

        assert names(tmp_path) == []

    def test_an_error_in_the_block_leaves_the_old_run(self, run: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            write_while(interrupt, run, overwrite=True)

        assert versions(open_run(run)) == {1}
        assert names(run.parent) == ["run"]

    @pytest.mark.parametrize(
        "function", [(os, "open"), (os, "fsync"), (os, "rename"), (os, "mkdir"), (io, "open")]
    )
    @pytest.mark.parametrize("exists", [True, False])
    def test_the_nth_failure_leaves_the_old_run_or_the_new_one(
        self, exists: bool, function: tuple[Any, str], tmp_path: Path
    ) -> None:
        path = tmp_path / "run"
        errors = 0
        for nth in range(1, 100):
            shutil.rmtree(path, ignore_errors=True)
            if exists:
                write_run(path, 1)
            with failing(*function, nth=nth) as call:
                try:
                    write_run(path, 2, overwrite=True)
                except ResourceError:
                    errors += 1
            if exists or path.exists():
                assert versions(open_run(path)) in ({1}, {2})
                assert verify_run(path) == []
            if not call.failed:
                break

        assert errors or (exists and function == (os, "rename"))  # an exchange in one step is none
        assert not call.failed
        assert versions(open_run(path)) == {2}
        assert names(tmp_path) == ["run"]

    def test_a_full_disk_leaves_the_old_run(self, run: Path) -> None:
        largest = max(file.stat().st_size for file in run.iterdir() if file.is_file())

        for size in range(0, largest, largest // 20):
            with (
                full_disk(size),
                pytest.raises(ResourceError, match="run: not written, the disk is full or failing"),
            ):
                write_run(run, 2, overwrite=True)
            assert versions(open_run(run)) == {1}
            assert names(run.parent) == ["run"]

    @pytest.mark.parametrize(
        "start", ["new", "overwrite", "two steps", "update", "update in two steps", "rollback"]
    )
    def test_a_kill_at_any_moment_leaves_the_old_run_or_the_new_one(self, start: str, tmp_path: Path) -> None:
        script = [sys.executable, str(KILL_SWEEP), str(tmp_path / "run"), start]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

        done = subprocess.run(script, capture_output=True, text=True, timeout=300, env=environment)

        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["before"] >= 20
        assert found["after"] >= 1
        assert names(tmp_path) == ["run"]


class TestDamage:
    @pytest.mark.parametrize("name", [*FILES, "forecast.csv"])
    @pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
    def test_a_flipped_bit_is_refused_and_the_file_named(self, place: float, name: str, run: Path) -> None:
        flip(run / name, round(place * ((run / name).stat().st_size - 1)))

        with pytest.raises(RunError, match=rf"run/{name}: has changed: SHA-256 .* Restore the folder"):
            open_run(run)

    @pytest.mark.parametrize("name", [*FILES, "forecast.csv", "plots/forecast.png"])
    def test_a_missing_file_is_named(self, name: str, run: Path) -> None:
        (run / name).unlink()

        with pytest.raises(RunError, match=f"run/{name}: is missing"):
            open_run(run)

    @pytest.mark.parametrize("name", FILES)
    def test_a_truncated_file_is_named_with_both_sizes(self, name: str, run: Path) -> None:
        size = (run / name).stat().st_size
        os.truncate(run / name, size - 1)

        with pytest.raises(
            RunError, match=rf"run/{name}: has {size - 1} bytes, but manifest.json says {size}"
        ):
            open_run(run)

    @pytest.mark.parametrize("name", ["config.yaml", "model.json", "model.safetensors"])
    def test_a_manifest_cannot_do_without_a_required_file(self, name: str, run: Path) -> None:
        (run / name).unlink()
        list_again(run)

        with pytest.raises(RunError, match=f"run/{name}: is missing"):
            open_run(run)

    @pytest.mark.parametrize("name", ["notes.txt", "plots/extra.png", ".hidden"])
    def test_an_extra_file_is_refused(self, name: str, run: Path) -> None:
        (run / name).write_text("x")

        with pytest.raises(RunError, match=f"run/{name}: is not listed in manifest.json; move it away"):
            open_run(run)

    def test_a_folder_in_a_folder_is_refused(self, run: Path) -> None:
        (run / "plots" / "deep").mkdir()

        with pytest.raises(RunError, match="run/plots/deep: is not a regular file"):
            open_run(run)

    def test_derived_files_come_and_go_freely(self, run: Path) -> None:
        (run / "derived").mkdir()
        (run / "derived" / "report.html").write_text("x")

        assert verify_run(run) == []
        assert versions(open_run(run)) == {1}

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_weight_that_is_not_finite_is_named(self, value: float, run: Path) -> None:
        arrays = arrays_of(1)
        arrays["weights"][1, 1] = value
        (run / "model.safetensors").write_bytes(save(arrays))
        list_again(run)

        with pytest.raises(
            RunError, match=r"model\.safetensors: array 'weights' holds 1 values that are not finite"
        ):
            open_run(run)

    def test_a_pickle_in_disguise_is_not_executed(self, run: Path) -> None:
        class Exploit:
            def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
                return Path.touch, (run.parent / "executed",)

        (run / "model.safetensors").write_bytes(pickle.dumps(Exploit()))
        list_again(run)

        with pytest.raises(RunError, match=r"model\.safetensors: is not a safetensors file"):
            open_run(run)
        assert not (run.parent / "executed").exists()

    @pytest.mark.parametrize(
        "content",
        [
            (10**12).to_bytes(8, "little") + b"{}",
            b'\x44\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}} \0\0\0\0',
            b"",
        ],
        ids=["header", "shape", "empty"],
    )
    def test_a_size_that_is_only_claimed_takes_no_memory(self, content: bytes, run: Path) -> None:
        (run / "model.safetensors").write_bytes(content)
        list_again(run)

        with pytest.raises(RunError, match=r"model\.safetensors: is not a safetensors file"):
            open_run(run)

    def test_a_type_that_is_unknown_is_refused(self, run: Path) -> None:
        header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
        (run / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
        list_again(run)

        with pytest.raises(RunError, match=r"model\.safetensors: is not a safetensors file of known types"):
            open_run(run)

    def test_a_run_beyond_the_memory_is_said_to_be_so(
        self, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_memory(data: bytes) -> object:
            raise MemoryError

        monkeypatch.setattr(runs, "parse_arrays", no_memory)

        with pytest.raises(ResourceError, match="run: does not fit into memory"):
            open_run(run)

    @pytest.mark.parametrize("name", [*FILES, "manifest.json", "plots/forecast.png"])
    def test_a_symbolic_link_is_refused_even_to_the_same_content(self, name: str, run: Path) -> None:
        outside = run.parent / "outside"
        (run / name).rename(outside)
        (run / name).symlink_to(outside)

        with pytest.raises(RunError, match=f"run/{name}: is a symbolic link"):
            open_run(run)

    @pytest.mark.parametrize("name", ["plots", "derived"])
    def test_a_folder_that_leads_elsewhere_is_refused(self, name: str, run: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        shutil.rmtree(run / name, ignore_errors=True)
        (run / name).symlink_to(outside)

        with pytest.raises(RunError, match=f"run/{name}: is a symbolic link"):
            open_run(run)

    @pytest.mark.parametrize("name", ["model.json", "manifest.json"])
    def test_a_pipe_is_refused_without_waiting_for_it(self, name: str, run: Path) -> None:
        (run / name).unlink()
        os.mkfifo(run / name)

        with pytest.raises(RunError, match=f"run/{name}: is not"):
            open_run(run)

    def test_all_problems_are_listed_by_verify(self, run: Path) -> None:
        flip(run / "model.json", 5)
        (run / "metrics.json").unlink()
        (run / "notes.txt").write_text("x")

        problems = verify_run(run)

        assert [problem.split(": ")[0].rpartition("/")[2] for problem in problems] == [
            "metrics.json",
            "model.json",
            "notes.txt",
        ]

    def test_a_changed_plot_is_found_by_verify_and_does_not_stop_a_forecast(self, run: Path) -> None:
        flip(run / "plots" / "forecast.png", 0)

        assert versions(open_run(run)) == {1}
        assert len(verify_run(run)) == 1
        assert "plots/forecast.png: has changed" in verify_run(run)[0]

    def test_verify_finds_what_hashes_cannot(self, run: Path) -> None:
        (run / "model.json").write_text("[]")
        list_again(run)

        assert len(verify_run(run)) == 1
        assert "model.json: holds a list where an object is expected" in verify_run(run)[0]

    def test_a_whole_run_has_no_problems(self, run: Path) -> None:
        assert verify_run(run) == []

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("horizon: [", r"config\.yaml:\d+:\d+: not YAML"),
            ("model: {cell: lsmt}", r"(?s)run/config\.yaml: .*model\.cell: 'lsmt' is not a known cell"),
            ("!!python/object/apply:os.system [true]", r"config\.yaml:1:1: the tag .* is not supported"),
            ("model: {hidden_size: 1000000000}", "model.hidden_size"),
            ("\x00", r"config\.yaml:1:1"),
        ],
        ids=["not yaml", "cell", "tag", "huge", "nul"],
    )
    def test_a_config_that_does_not_load_is_a_damaged_run(self, text: str, message: str, run: Path) -> None:
        (run / "config.yaml").write_text(text)
        list_again(run)

        with pytest.raises(RunError, match=message):
            open_run(run)

    def test_a_config_that_is_no_text_is_a_damaged_run(self, run: Path) -> None:
        (run / "config.yaml").write_bytes(b"\xff\xfe")
        list_again(run)

        with pytest.raises(RunError, match=r"config\.yaml: is not UTF-8"):
            open_run(run)

    def test_the_environment_does_not_change_a_stored_config(
        self, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TSFORECAST_HORIZON", "7")

        assert open_run(run).config.horizon == 24


class TestManifest:
    @pytest.mark.parametrize(
        "name", ["../outside", "/etc/passwd", "plots/../../outside", "./model.json", "plots//a", ""]
    )
    def test_a_name_that_leads_outside_is_refused(self, name: str, run: Path) -> None:
        entry = {"size": 0, "sha256": "0" * 64}
        change_manifest(run, lambda manifest: manifest["files"].update({name: entry}))

        with pytest.raises(RunError, match=r"manifest\.json: lists .*, which is not a file of this folder"):
            open_run(run)

    def test_a_newer_format_says_to_upgrade(self, run: Path) -> None:
        change_manifest(run, lambda manifest: manifest.update(format_version=FORMAT_VERSION + 1, news={}))

        with pytest.raises(
            RunError, match=r"manifest\.json: format version 3 is newer than the 2 .* Upgrade"
        ):
            open_run(run)

    def test_a_newer_format_of_the_model_says_to_upgrade(self, run: Path) -> None:
        (run / "model.json").write_text(json.dumps({"format_version": FORMAT_VERSION + 1}))
        list_again(run)

        with pytest.raises(RunError, match=r"model\.json: format version 3 is newer than the 2 .* Upgrade"):
            open_run(run)

    @pytest.mark.parametrize("version", [None, "1", 0, True, 1.0])
    def test_a_format_that_is_no_number_is_refused(self, version: object, run: Path) -> None:
        change_manifest(run, lambda manifest: manifest.update(format_version=version))

        with pytest.raises(
            RunError, match=r"manifest\.json: format_version: found .*, expected a whole number"
        ):
            open_run(run)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not JSON"),
            ("\x80PICKLE", "is not JSON"),
            ("[" * 100_000, "is not JSON"),
            ("[]", "holds a list where an object is expected"),
            ('{"format_version": 1}', "files: Field required"),
            ('{"format_version": 1, "files": {"a": {"size": "1", "sha256": "0"}}}', "files.a.size"),
            ('{"format_version": 1, "files": {"a": {"size": -1, "sha256": "0"}}}', "files.a.size"),
            (" " * 1_000_001, "is larger than 1000000 bytes"),
        ],
        ids=["empty", "binary", "deep", "list", "no files", "text as size", "negative size", "large"],
    )
    def test_a_manifest_of_another_form_is_refused(self, text: str, message: str, run: Path) -> None:
        (run / "manifest.json").write_text(text)

        with pytest.raises(RunError, match=rf"run/manifest\.json: {message}"):
            open_run(run)

    def test_a_folder_without_one_is_no_finished_run(self, run: Path) -> None:
        (run / "manifest.json").unlink()

        with pytest.raises(RunError, match=r"run/manifest\.json: is missing"):
            open_run(run)

    def test_a_folder_that_does_not_exist_is_named_with_the_command_that_makes_it(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(
            RunError, match=r"nope: no such run folder; `tsforecast train CONFIG --run .*nope`"
        ):
            open_run(tmp_path / "nope")

    def test_a_file_is_no_run(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("x")

        with pytest.raises(RunError, match=r"run: is not a run folder that can be read \(Not a directory\)"):
            open_run(tmp_path / "run")


class TestReadingWhileWriting:
    @pytest.mark.parametrize("moment", ["_read_manifest", "_listing", "_checked_bytes"])
    def test_a_reader_overtaken_by_a_replacement_reads_one_version(
        self, moment: str, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = getattr(runs, moment)
        replaced = False

        def overtaken(*args: Any, **kwargs: Any) -> Any:
            nonlocal replaced
            result = original(*args, **kwargs)
            if not replaced:
                replaced = True
                write_run(run, 2, overwrite=True)
            return result

        monkeypatch.setattr(runs, moment, overtaken)

        opened = open_run(run)

        assert replaced
        assert versions(opened) == {2}  # version 1 was removed before it was read to the end

    def test_a_reader_that_has_all_it_needs_stays_with_the_old_version(
        self, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = runs._check_hash

        def overtaken(*args: Any) -> None:
            original(*args)
            held.append(os.open(run, os.O_RDONLY))
            monkeypatch.undo()

        held: list[int] = []
        monkeypatch.setattr(runs, "_check_hash", overtaken)
        opened = open_run(run)
        write_run(run, 2, overwrite=True)
        for handle in held:
            os.close(handle)

        assert versions(opened) == {1}

    def test_a_folder_replaced_all_the_time_ends_in_an_error(
        self, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flip(run / "model.json", 5)
        monkeypatch.setattr(runs, "_was_replaced", lambda _: True)

        with pytest.raises(RunError, match="run: was replaced 100 times while it was read; run again"):
            open_run(run)

    def test_readers_beside_a_writer_see_whole_versions_only(
        self, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "fsync", ignore)
        last = 80
        failures: list[BaseException] = []

        def write_versions() -> None:
            try:
                for version in range(2, last + 1):
                    write_run(run, version, overwrite=True)
            except BaseException as error:
                failures.append(error)
                raise

        writer = threading.Thread(target=write_versions)
        writer.start()
        seen: list[float] = []
        while writer.is_alive():
            found = versions(open_run(run))
            assert len(found) == 1
            seen += found
        writer.join()

        assert not failures
        assert seen == sorted(seen)
        assert versions(open_run(run)) == {last}

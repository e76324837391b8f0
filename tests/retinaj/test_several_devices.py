"""Several GPUs (here two parts of the processor) and several machines (here two processes) take the steps that one would."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from discs import write_discs
from rich.console import Console
from typer.testing import CliRunner

from retinaj.cli.app import app
from retinaj.errors import RetinaJError
from retinaj.model_folder import load_network
from retinaj.training.cluster import Cluster, meet, read_cluster
from retinaj.training.replicas import Replicas, find_replicas
from retinaj.training.settings import TrainingSettings
from retinaj.training.train import train

# Batches of five are shared as two and three windows. Hard images ask for the loss of each image of each share. With Adam, what
# is rounding in a gradient near zero would be a whole step.
SETTINGS = TrainingSettings(
    backbone="light_small", epochs=2, windows_per_epoch=15, batch_size=5, pyramid_width=16, window=64, warmup_steps=2,
    downsampling=1, levels=(3, 4), optimizer="sgd", learning_rate=0.01, hard_images=1.0, clip_norm=1.0,
)  # fmt: skip
HELPER = Path(__file__).parents[1] / "helpers" / "train_together.py"
SECONDS = 500  # a machine that is busy with other things takes many times what a quiet one does


@dataclass
class Runs:
    """Finished runs: folders, and of each process its exit status and what it said."""

    data: tuple[Path, Path]
    folder: Path
    said: dict[str, tuple[int, str]]


def two_free_ports() -> list[int]:
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as other:
        return [one.getsockname()[1], other.getsockname()[1]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One device, two devices, two processes, and two processes of which the second dies; all at the same time."""
    folder = tmp_path_factory.mktemp("several")
    data = write_discs(folder, 12)
    processes: dict[str, subprocess.Popen[str]] = {}

    def begin(name: str, *, cpus: int = 1, output: str = "", dies_in: int = 0, tf_config: str) -> None:
        order = {
            "images": str(data[0]), "annotations": str(data[1]), "output": str(folder / (output or name)), "cpus": cpus,
            "dies_in": dies_in, "settings": SETTINGS.model_dump(mode="json"),
        }  # fmt: skip
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, "PYTHONPATH": paths, "TF_CONFIG": tf_config}
        processes[name] = subprocess.Popen(
            [sys.executable, str(HELPER), json.dumps(order)], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    lonely = '{"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}'  # as services set it
    begin("two_devices", cpus=2, tf_config=lonely)
    for name, deaths in (("two_machines", (0, 0)), ("one_dies", (0, 2))):
        workers = [f"localhost:{port}" for port in two_free_ports()]
        for index, dies_in in enumerate(deaths):
            tf_config = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
            begin(f"{name}_{index}", output=f"{name}_{index}", dies_in=dies_in, tf_config=tf_config)
    try:
        train(*data, folder / "alone", settings=SETTINGS, console=Console(file=io.StringIO()))
        said = {name: (process.communicate(timeout=SECONDS)[0], process.returncode) for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    return Runs(data, folder, {name: (status, text) for name, (text, status) in said.items()})


def history(folder: Path) -> list[list[float]]:
    columns = "step", "learning_rate", "loss", "class_loss", "box_loss", "val_loss"
    return [[float(row[name]) for name in columns] for row in csv.DictReader((folder / "training" / "history.csv").open())]


def assert_same_run(one: Path, other: Path) -> None:
    """Losses to 2e-5 of their value, weights, their average and the optimiser's memory to 1e-5: what another order of summing
    leaves."""
    assert len(history(one)) == SETTINGS.epochs
    np.testing.assert_allclose(history(one), history(other), rtol=2e-5)
    load_network(other)
    with np.load(one / "training" / "state.npz") as first, np.load(other / "training" / "state.npz") as second:
        assert first.files == second.files
        for name in first.files:
            if name != "progress":  # which tells the time it took
                np.testing.assert_allclose(first[name], second[name], atol=1e-5, rtol=2e-5)


def test_two_devices_train_as_one(runs: Runs) -> None:
    assert runs.said["two_devices"][0] == 0, runs.said["two_devices"][1]
    assert_same_run(runs.folder / "alone", runs.folder / "two_devices")


def test_two_machines_train_as_one_and_only_the_first_writes(runs: Runs) -> None:
    for index in (0, 1):
        assert runs.said[f"two_machines_{index}"][0] == 0, runs.said[f"two_machines_{index}"][1]
    assert_same_run(runs.folder / "alone", runs.folder / "two_machines_0")
    assert not (runs.folder / "two_machines_1").exists()
    assert "epoch   2/2" in runs.said["two_machines_0"][1]
    assert "by the plan of the first machine" in runs.said["two_machines_1"][1]
    assert "epoch   2/2" not in runs.said["two_machines_1"][1]


def test_the_others_end_with_a_machine_and_the_run_goes_on_on_one(runs: Runs) -> None:
    """The second was killed in its second epoch: the first tells so, and what it left is resumed without the second."""
    folder = runs.folder / "one_dies_0"
    status, text = runs.said["one_dies_0"]
    assert (status, runs.said["one_dies_1"][0]) == (1, 7), text
    assert "Another machine of this run has ended" in text
    assert "holds the best model so far, of epoch 1" in text
    assert "Traceback" not in text
    train(*runs.data, folder, resume=True, console=Console(file=io.StringIO()))
    assert_same_run(runs.folder / "alone", folder)


def test_tf_config_that_names_one_machine_is_none() -> None:
    assert read_cluster(None) is None
    assert read_cluster(" ") is None
    assert read_cluster('{"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}') is None


def test_a_chief_comes_before_the_workers() -> None:
    text = '{"cluster": {"worker": ["b:1", "c:1"], "chief": ["a:1"]}, "task": {"type": "worker", "index": 1}}'
    assert read_cluster(text) == Cluster(("a:1", "b:1", "c:1"), 2)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:99999"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": "ab"}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_wrong_tf_config_is_told(text: str) -> None:
    with pytest.raises(RetinaJError, match=r"TF_CONFIG does not say .* Expected JSON such as"):
        read_cluster(text)


def test_a_machine_named_twice_is_told() -> None:
    with pytest.raises(RetinaJError, match="names a machine twice: a:1, a:1"):
        read_cluster('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}')


def test_a_machine_that_does_not_come_is_named() -> None:
    ports = two_free_ports()
    said: list[str] = []
    with pytest.raises(RetinaJError, match=rf"1 machine of TF_CONFIG cannot be reached: localhost:{ports[1]}"):
        meet(Cluster(tuple(f"localhost:{port}" for port in ports), 0), said.append, minutes=0.005)
    assert said == [f"Machine 1 of 2, localhost:{ports[0]}. Waiting for localhost:{ports[1]}: start the same command there."]


def test_a_machine_that_has_gone_ends_the_program_whatever_it_waits_for() -> None:
    gone = f"localhost:{two_free_ports()[0]}"
    program = (
        "import time; from retinaj.training import cluster\n"
        "cluster._WATCHED, cluster._PATIENCE = 0.05, 0.2\n"
        f"with cluster.watched(cluster.Cluster(({gone!r}, 'localhost:1'), 1)): time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, text=True, capture_output=True, timeout=SECONDS)
    assert ended.returncode == 1
    assert ended.stderr.endswith(f"with --resume on all machines. It was {gone}.\n")


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RetinaJError, match=rf"Port {port} of this machine, .* cannot be used"):
            meet(Cluster((f"localhost:{port}", "localhost:1"), 0), print, minutes=0.005)


def test_joining_after_tensorflow_was_used_is_told(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = two_free_ports()
    workers = [f"localhost:{port}" for port in ports]
    with socket.create_server(("", ports[1])):  # the other one is there
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0}}))
        with pytest.raises(RetinaJError, match="used TensorFlow before it joined"):
            train(*runs.data, tmp_path / "model", settings=SETTINGS, console=Console(file=io.StringIO()))


def test_the_command_tells_what_is_wrong_with_the_devices(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["train", *map(str, runs.data), "--output", str(tmp_path / "model")]
    result = CliRunner().invoke(app, [*command, "--devices", "3"])
    assert result.exit_code == 1
    assert "--devices is 3, but" in result.output
    monkeypatch.setenv("TF_CONFIG", "{")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "TF_CONFIG does not say which machines train together" in result.output
    assert not (tmp_path / "model").exists()


def test_a_share_differs_by_one_window_at_most() -> None:
    class Four:
        num_replicas_in_sync = 4

    replicas = Replicas(Four(), Cluster(("a:1", "b:1"), 1))
    assert replicas.shares(9) == [slice(4, 6), slice(6, 9)]
    assert replicas.share(9) == slice(4, 9)
    with pytest.raises(RetinaJError, match="A batch of 3 windows cannot be shared by 4 devices"):
        replicas.shares(3)


def test_one_device_is_no_strategy() -> None:
    assert find_replicas(None, 1, print).count == 1

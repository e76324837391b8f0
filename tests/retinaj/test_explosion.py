"""A loss that explodes, or is no number any more: noticed, explained, and the last good weights are kept."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from discs import write_discs
from rich.console import Console

from retinaj.errors import RetinaJError
from retinaj.model_folder import load_network
from retinaj.training.explosion import LossWatch
from retinaj.training.run_folder import load_run
from retinaj.training.settings import TrainingSettings
from retinaj.training.step import StepLosses, TrainingStep
from retinaj.training.train import train
from retinaj.weights_file import network_arrays, read_arrays

QUICK = TrainingSettings(
    backbone="light_small", epochs=3, windows_per_epoch=16, batch_size=4, pyramid_width=16, window=64, warmup_steps=2,
    downsampling=1, levels=(3, 4),
)  # fmt: skip
# The epochs of a real run: 30 epochs on blood cells, as in docs/results.md.
BLOOD_CELLS = (
    1.23352, 0.768497, 0.700446, 0.664472, 0.634469, 0.610366, 0.607566, 0.591879, 0.585738, 0.571835, 0.563879, 0.551981,
    0.549186, 0.538804, 0.533345, 0.525247, 0.520441, 0.515069, 0.514255, 0.50604, 0.501359, 0.496196, 0.492549, 0.49061,
    0.484814, 0.483541, 0.480338, 0.476859, 0.477461, 0.478344,
)  # fmt: skip


def alarms(losses: list[float], steps: int) -> list[int]:
    """The steps at which the watch speaks."""
    watch = LossWatch(steps)
    return [at for at, loss in enumerate(losses) if watch.add(loss)]


@pytest.mark.parametrize("seed", range(5))
def test_no_false_alarm_on_a_real_run_with_noisy_steps(seed: int) -> None:
    """Single steps spread by a factor of three both ways, and one epoch is three times as hard as it was."""
    random = np.random.default_rng(seed)
    epochs = [loss * (3 if at == 12 else 1) for at, loss in enumerate(BLOOD_CELLS)]
    losses = [loss * math.exp(random.normal(0, math.log(3) / 2)) for loss in epochs for _ in range(250)]
    assert alarms(losses, 250) == []
    assert alarms(losses[:: 250 // 4], 4) == []  # epochs of few steps


@pytest.mark.parametrize("start", [30, 260, 5 * 250 + 7])
def test_an_explosion_is_noticed_within_two_blocks(start: int) -> None:
    """From step `start` on the loss grows by 20 % a step up to a hundredfold and stays there."""
    calm = [loss for loss in BLOOD_CELLS[:8] for _ in range(250)]
    losses = [loss * min(1.2 ** max(at - start, 0), 100) for at, loss in enumerate(calm)]
    assert start < alarms(losses, 250)[0] <= start + 100


def test_a_model_that_knows_its_task_already_is_not_blamed_for_empty_windows() -> None:
    assert alarms([0.001, 0.3, 0.0, 0.5, *[0.4] * 96], 50) == []


def test_a_resumed_run_notices_the_same() -> None:
    whole = LossWatch(100)
    losses = [1.0] * 100 + [0.1] * 100 + [3.0] * 100
    found = [at for at, loss in enumerate(losses) if whole.add(loss)]
    before = LossWatch(100)
    assert not [loss for loss in losses[:200] if before.add(loss)]
    after = LossWatch(100, before.first, before.lowest)
    assert [200 + at for at, loss in enumerate(losses[200:]) if after.add(loss)] == found != []


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_discs(tmp_path_factory.mktemp("discs"), 8)


def test_an_exploding_run_keeps_its_last_good_weights(
    data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrainingStep.__call__

    def explode(self: TrainingStep, batch: tuple[object, ...], rate: float, step: int) -> StepLosses:
        losses = real(self, batch, rate, step)  # pyright: ignore[reportArgumentType]
        return replace(losses, class_loss=losses.class_loss * 1e4) if step >= 4 else losses

    model = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", explode)
        with pytest.raises(RetinaJError, match=r"rose to .* times the lowest .* in epoch 2, step 8\. .* of epoch 1; --"):
            train(*data, model, settings=QUICK, console=Console(file=io.StringIO()))
    record, network = load_network(model)
    assert record.training.best_epoch == 1
    best = network_arrays(network)
    last = read_arrays(model / "training" / "last.weights.h5", {name: array.shape for name, array in best.items()})
    assert all(np.array_equal(best[name], last[name]) and np.isfinite(best[name]).all() for name in best)
    assert "rose to" in (model / "training" / "training.log").read_text()
    assert load_run(model).record.training.settings.epochs == 3
    with np.load(model / "training" / "state.npz") as state:
        assert json.loads(state["progress"].tobytes())["epoch"] == 1

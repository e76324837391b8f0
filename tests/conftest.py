"""What tests of several rooms share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports Keras, which picks its backend then; TensorFlow says what is wrong, not what it found.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real annotated images, which lies beside the checkout where there is one."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real images, ../shared/data beside the checkout, are not there")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave no trace in the user's own folder of RetinaJ, and find none there; neither do the processes they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETINAJ_HOME", str(tmp_path_factory.mktemp("home") / ".retinaj"))
        yield


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """For tests that bound processor time: a collection passes over what earlier tests left in the process, millions of objects
    after a training, and JPype makes Java collect, too."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()

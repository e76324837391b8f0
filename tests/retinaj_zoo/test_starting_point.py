"""A package alone gives the weights back for further training, as plain arrays, and nothing in it is run."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from changed_packages import rewritten, setting
from tiny_models import Packaged

from retinaj.errors import RetinaJError
from retinaj.training.start import StartingPoint
from retinaj_zoo.starting_point import starting_point

STEM = "layers/functional/layers/conv2d/vars/0"


def test_a_package_gives_the_weights_of_its_model_folder(packaged: Packaged) -> None:
    expected, found = StartingPoint.of_folder(packaged.model), starting_point(packaged.package)
    assert found.record == expected.record
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
    assert starting_point(packaged.model).arrays.keys() == expected.arrays.keys()


def with_keras(rgb: Packaged, tmp_path: Path, keras_file: bytes) -> Path:
    digest = hashlib.sha256(keras_file).hexdigest()
    change = setting("weights", "keras_v3", "sha256", value=digest)
    return rewritten(rgb.package, tmp_path / "p.zip", change, weights__keras=keras_file)


def keras_zip(rgb: Packaged, arrays: bytes | None, config: bytes | None = None) -> bytes:
    """The package's .keras file with other arrays or another config."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(rgb.unpacked / "weights.keras") as source, zipfile.ZipFile(buffer, "w") as copy:
        copy.writestr("config.json", source.read("config.json") if config is None else config)
        if arrays is not None:
            copy.writestr("model.weights.h5", arrays)
    return buffer.getvalue()


def arrays_with(rgb: Packaged, change: Callable[[h5py.File], object]) -> bytes:
    with zipfile.ZipFile(rgb.unpacked / "weights.keras") as source:
        buffer = io.BytesIO(source.read("model.weights.h5"))
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def replaced(make: Callable[[h5py.File], object]) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        del file[STEM]
        make(file)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced(lambda file: None), "lacks the weights"),
        (replaced(lambda file: file.create_dataset(STEM, data=np.zeros(3, np.float32))), r"has the shape \(3,\)"),
        (replaced(lambda file: file.create_dataset(STEM, (10**6, 10**6), np.float32, chunks=(10, 10))), "has the shape"),
        (replaced(lambda file: file.create_dataset(STEM, data=np.full((3, 3, 3, 16), b"x"))), "not a plain array"),
        (replaced(lambda file: file.create_dataset(STEM, data=np.full((3, 3, 3, 16), np.nan))), "are not all numbers"),
        (replaced(lambda file: file.__setitem__(STEM, h5py.ExternalLink("/etc/passwd", "/x"))), "lacks the weights"),
        (replaced(lambda file: file.__setitem__(STEM, h5py.SoftLink("/elsewhere"))), "lacks the weights"),
        (
            replaced(lambda file: file.create_dataset(STEM, (3, 3, 3, 16), "f4", external=[("/etc/passwd", 0, 1728)])),
            "not a plain array",
        ),
    ],
)
def test_refuses_hostile_arrays(rgb: Packaged, tmp_path: Path, change: Callable[[h5py.File], object], message: str) -> None:
    path = with_keras(rgb, tmp_path, keras_zip(rgb, arrays_with(rgb, change)))
    with pytest.raises(RetinaJError, match=message) as caught:
        starting_point(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\x80\x04 a pickle?", "is not a zip"), (b"\x89HDF\r\n\x1a\n an .h5 file", "is not a zip")],
)
def test_refuses_what_is_no_keras_file(rgb: Packaged, tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(RetinaJError, match=message):
        starting_point(with_keras(rgb, tmp_path, content))


def test_refuses_a_keras_file_without_arrays_or_with_a_bomb(rgb: Packaged, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"lacks the file model\.weights\.h5"):
        starting_point(with_keras(rgb, tmp_path, keras_zip(rgb, None)))
    with pytest.raises(RetinaJError, match=r"is not a readable weights file"):
        starting_point(with_keras(rgb, tmp_path, keras_zip(rgb, np.random.default_rng(0).bytes(10**6))))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(64 * 1024**2))
    with pytest.raises(RetinaJError, match="no weights compress like that"):
        starting_point(with_keras(rgb, tmp_path, bomb.getvalue()))
    outside = io.BytesIO()
    with zipfile.ZipFile(outside, "w") as archive:
        archive.writestr("../outside", b"x")
    with pytest.raises(RetinaJError, match="does not stay inside the package"):
        starting_point(with_keras(rgb, tmp_path, outside.getvalue()))


def test_a_lambda_in_the_keras_file_is_never_built(rgb: Packaged, tmp_path: Path) -> None:
    """Its config is not read: whatever layers it asks for, the arrays go into the network of our own code."""
    config = b'{"module": "keras.layers", "class_name": "Lambda", "config": {"function": "import os; os.abort()"}}'
    arrays = arrays_with(rgb, lambda file: None)
    path = with_keras(rgb, tmp_path, keras_zip(rgb, arrays, config))
    assert starting_point(path).arrays.keys() == starting_point(rgb.package).arrays.keys()


def test_refuses_a_package_without_keras_weights_or_changed(rgb: Packaged, tmp_path: Path) -> None:
    path = rewritten(rgb.package, tmp_path / "p.zip", lambda description: description["weights"].pop("keras_v3"))
    with pytest.raises(RetinaJError, match="has no keras_v3 weights"):
        starting_point(path)
    path = rewritten(rgb.package, tmp_path / "q.zip", weights__keras=b"other")
    with pytest.raises(RetinaJError, match=r"the SHA-256 of weights\.keras is not the one"):
        starting_point(path)
    with pytest.raises(RetinaJError, match=r"lacks the weights|has the shape"):
        starting_point(
            rewritten(rgb.package, tmp_path / "r.zip", setting("config", "retinaj", "network", "pyramid_width", value=32))
        )


def test_refuses_a_network_far_larger_than_its_weights(rgb: Packaged, tmp_path: Path) -> None:
    def grow(description: dict[str, Any]) -> None:
        record = description["config"]["retinaj"]
        record["class_names"] = [str(number) for number in range(10_000)]
        record["network"] |= {"num_classes": 10_000, "pyramid_width": 512}

    with pytest.raises(RetinaJError, match="They do not belong together"):
        starting_point(rewritten(rgb.package, tmp_path / "p.zip", grow))


def test_the_command_line_starts_from_a_package(rgb: Packaged, tmp_path: Path) -> None:
    words = ["train", "nowhere", "nowhere", "--output", "new", "--weights-from"]
    for source, message in ((rgb.package, "nowhere does not exist"), (tmp_path / "none.zip", r"none.zip does not exist")):
        run = [sys.executable, "-m", "retinaj", *words, str(source)]
        done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1

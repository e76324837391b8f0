"""Other people's detectors as packages: they pass bioimageio.core's test, and come back as detectors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from changed_packages import rewritten, setting
from foreign_detectors import detector, expected_rows, spots
from PIL import Image

from retinaj.cli.foreign_options import class_list, numbers, pixel_values
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj_zoo import open_model
from retinaj_zoo.foreign_graph import ForeignOptions
from retinaj_zoo.foreign_packaging import package_foreign
from retinaj_zoo.info import describe_model
from retinaj_zoo.metadata import Citation, Metadata, Person
from retinaj_zoo.reading import read_package_record
from retinaj_zoo.starting_point import starting_point
from retinaj_zoo.untrusted_yaml import load_yaml

# Brightnesses well apart, so that no two programs rank them differently.
PLACES = tuple((12 + 14 * (i // 6), 9 + 15 * (i % 6), 250 - 6 * i) for i in range(18))
METADATA = Metadata(
    license="MIT",
    cite=(Citation(text="Their paper", url="https://example.org/paper"),),
    authors=(Person(name="The test suite"),),
)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "spots.png"
    Image.fromarray(spots((80, 110), *PLACES)).save(path)
    return path


@pytest.fixture(scope="module")
def package(picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the command line, and so tested by bioimageio.core in a fresh process."""
    folder = tmp_path_factory.mktemp("foreign")
    model = detector("raw", size=(80, 110))
    model.metadata_props.add(key="names", value="{0: 'even', 1: 'odd'}")
    (folder / "spots.onnx").write_bytes(model.SerializeToString())
    (folder / "metadata.yaml").write_text(
        "license: MIT\ncite: [{text: Their paper, url: 'https://example.org/paper'}]\nauthors: [{name: The test suite}]\n"
    )
    words = ["package", "--from-onnx", "spots.onnx", "--outputs", "ultralytics", "--image", str(picture)]
    words += ["--metadata", "metadata.yaml", "--output", "package.zip"]
    run = [sys.executable, "-m", "retinaj", *words]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bioimageio.core's test passed" in done.stderr
    assert {path.name for path in folder.iterdir()} == {"spots.onnx", "metadata.yaml", "package.zip"}
    return folder / "package.zip"


def test_the_package_finds_what_the_original_finds(package: Path, picture: Path) -> None:
    found = open_model(package)
    assert found.class_names == ("even", "odd")
    assert found.record is None
    boxes = found.detect(read_image(picture), threshold=0.1)
    expected = expected_rows(*PLACES)
    assert boxes.score is not None
    np.testing.assert_allclose(boxes.xyxy, expected[:, :4].clip(0, [110, 80, 110, 80]), atol=1e-3)
    np.testing.assert_allclose(boxes.score, expected[:, 4], atol=1e-4)
    np.testing.assert_array_equal(boxes.label + 1, expected[:, 5])


def test_the_package_says_where_it_comes_from(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        description = load_yaml(archive.read("rdf.yaml"), "rdf.yaml")
        readme = archive.read("README.md").decode()
        weights = archive.read("weights.onnx")
    assert list(description["weights"]) == ["onnx"]
    assert description["license"] == "MIT"
    assert [entry["text"] for entry in description["cite"]] == ["Their paper"]
    original = hashlib.sha256((package.parent / "spots.onnx").read_bytes()).hexdigest()
    assert original in readme
    assert "scaled to fit 110 x 80 pixels" in readme
    assert description["config"]["retinaj"]["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    found = describe_model(package)
    assert found.kind == "package of a foreign detector"
    assert "spots.onnx" in (found.origin or "")
    assert found.training is None
    assert ("licence", "MIT") in found.lines()


def test_it_can_be_evaluated_but_not_trained(package: Path, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"holds a detector of other origin, spots\.onnx"):
        starting_point(package)
    with pytest.raises(RetinaJError, match="detector of other origin"):
        read_package_record(package)
    images, annotations = tmp_path / "images", tmp_path / "annotations"
    from retinaj.annotations import pascal_voc
    from retinaj.boxes import Boxes
    from retinaj.evaluation.run import evaluate

    images.mkdir()
    annotations.mkdir()
    rows = expected_rows(*PLACES)
    inside = rows[:, :4].clip(0, [110, 80, 110, 80])
    boxes = Boxes(inside, rows[:, 5].astype(np.int32) - 1, ("even", "odd"))
    (images / "spots.png").write_bytes(picture.read_bytes())
    pascal_voc.write(annotations / "spots.xml", boxes, image_name="spots.png", size=(110, 80), channels=3)
    result = evaluate(images, annotations, open_model(package), tmp_path / "evaluation").result
    assert result.overall.ap50 == 1
    assert (tmp_path / "evaluation" / "report.html").is_file()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class_names", [], "class_names"),
        ("max_detections", 10**9, "max_detections"),
        ("surprise", 1, "surprise"),
        ("format_version", 2, "format_version"),
        ("normalization", {"kind": "fixed", "gain": float("inf")}, "normalization"),
    ],
)
def test_a_hostile_record_is_refused(package: Path, tmp_path: Path, key: str, value: object, message: str) -> None:
    path = rewritten(package, tmp_path / "p.zip", setting("config", "retinaj", key, value=value))
    with pytest.raises(RetinaJError, match=message) as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (Metadata(), "lack license and cite"),
        (METADATA.model_copy(update={"cite": ()}), "lack cite"),
        (Metadata(cite=METADATA.cite), "lack license"),
    ],
)
def test_licence_and_citation_are_not_ours_to_choose(picture: Path, tmp_path: Path, metadata: Metadata, message: str) -> None:
    path = tmp_path / "spots.onnx"
    path.write_bytes(detector("rows").SerializeToString())
    options = ForeignOptions("ultralytics", ("even", "odd"))
    with pytest.raises(RetinaJError, match=message):
        package_foreign(path, tmp_path / "p.zip", options=options, image=picture, metadata=metadata, log=lambda line: None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["spots.onnx"]


def test_an_image_without_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spots.onnx"
    path.write_bytes(detector("torchvision").SerializeToString())
    Image.fromarray(spots((80, 110))).save(tmp_path / "black.png")
    options = ForeignOptions("torchvision", ("even", "odd"))
    with pytest.raises(RetinaJError, match="The model finds nothing on"):
        package_foreign(
            path, tmp_path / "p.zip", options=options, image=tmp_path / "black.png", metadata=METADATA, log=lambda line: None
        )
    assert not (tmp_path / "p.zip").exists()


def test_class_names_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("red cell\n\nwhite cell \n")
    assert class_list(str(tmp_path / "names.txt")) == ("red cell", "white cell")
    assert class_list(None) == ()


@pytest.mark.parametrize("value", ["a,,b", "a,a", ""])
def test_refuses_class_names(value: str) -> None:
    with pytest.raises(RetinaJError, match="--classes"):
        class_list(value)


def test_refuses_numbers() -> None:
    for option, value in (("mean", "a,b"), ("mean", "nan"), ("std", "1,0,1"), ("std", "")):
        with pytest.raises(RetinaJError, match=f"--{option} is"):
            numbers(option, value)
    for value in ("0", "1,1", "0,1,2"):
        with pytest.raises(RetinaJError, match="--pixel-range is"):
            pixel_values(value)

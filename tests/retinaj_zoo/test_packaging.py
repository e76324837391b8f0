"""What a package holds, and what happens when it cannot be made."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from tiny_models import Packaged, noise_pixels, write_tiny_model

from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.model_folder import read_record
from retinaj.prediction.detector import Detector
from retinaj_zoo import open_package
from retinaj_zoo.description import FILES
from retinaj_zoo.metadata import Metadata, Person
from retinaj_zoo.packaging import package_model
from retinaj_zoo.reading import read_package_record
from retinaj_zoo.untrusted_yaml import load_yaml
from retinaj_zoo.weight_formats import WEIGHT_FORMATS


def description(packaged: Packaged) -> dict[str, Any]:
    return load_yaml((packaged.unpacked / "rdf.yaml").read_bytes(), "rdf.yaml")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_says_what_it_does(rgb: Packaged) -> None:
    log = "\n".join(rgb.log)
    assert "plate 7.tif (validation image" in log
    assert "becomes part of the package" in log
    assert "bioimageio.core's test passed" in log
    assert "Licence: CC-BY-4.0" in log
    assert "were not evaluated" in log
    assert rgb.log[-1].startswith(f"Wrote {rgb.package}")
    assert rgb.summary.path == rgb.package
    assert rgb.summary.bytes == rgb.package.stat().st_size
    assert set(rgb.summary.weights_bytes) == {"keras_v3", "onnx", "tensorflow_saved_model_bundle"}


def test_holds_the_files_of_its_description_and_nothing_else(packaged: Packaged) -> None:
    assert set(zipfile.ZipFile(packaged.package).namelist()) == {*FILES.values(), "rdf.yaml"}


def test_a_package_alone_rebuilds_the_record(packaged: Packaged) -> None:
    assert read_package_record(packaged.package) == read_record(packaged.model)


def test_axes_are_those_that_jdll_can_read(packaged: Packaged) -> None:
    """JDLL's AxisV05 and Tensor.convertToTensorDimOrder: b and c by their types, else the id, one letter of these."""
    for tensor in [*description(packaged)["inputs"], *description(packaged)["outputs"]]:
        letters = [{"batch": "b", "channel": "c"}.get(axis["type"], axis.get("id")) for axis in tensor["axes"]]
        assert set(letters) <= set("bcrtxyz")
        assert len(set(letters)) == len(letters)
    assert description(packaged)["config"]["deepimagej"] == {"allow_tiling": False}


def test_preprocessing_is_the_models(rgb: Packaged, grey16: Packaged) -> None:
    def steps(packaged: Packaged) -> list[str]:
        return [step["id"] for step in description(packaged)["inputs"][0]["preprocessing"]]

    assert steps(rgb) == ["ensure_dtype", "scale_linear", "ensure_dtype"]
    assert steps(grey16) == ["ensure_dtype", "scale_range", "clip", "scale_linear", "ensure_dtype"]


def test_the_test_tensors_are_the_sample_image_and_its_detections(
    packaged: Packaged, opened: Callable[[Path], Detector]
) -> None:
    sample = read_image(packaged.model / "training" / "sample.tif").transpose("y", "x", ...).to_numpy()
    stored = np.load(packaged.unpacked / FILES["test_input"])
    assert stored.dtype == sample.dtype
    if stored.shape[1:3] == sample.shape[:2]:
        np.testing.assert_array_equal(stored.squeeze(), sample)
    folder = opened(packaged.model)
    expected = folder.runtime(folder.normalization(stored[0])[None], folder.overlap)
    np.testing.assert_allclose(np.load(packaged.unpacked / FILES["test_output"]), expected, atol=1e-3)
    assert (expected[0, :, 4] > 0).sum() >= 5


def test_the_cover_is_as_the_zoo_wants_it(packaged: Packaged) -> None:
    path = packaged.unpacked / FILES["cover"]
    with Image.open(path) as cover:
        assert cover.size == (512, 512)
    assert path.stat().st_size < 500_000


def test_the_documentation_says_what_is_known_and_what_is_not(rgb: Packaged) -> None:
    text = (rgb.unpacked / FILES["documentation"]).read_text(encoding="utf-8")
    assert "## Validation" in text
    assert "**No evaluation was made**" in text
    assert "| µ\\|x | 3 | 0 |" in text
    assert "8 images with 40 boxes; the best of 3 epochs, number 2, was chosen on 2 other images" in text
    assert "{{" not in text
    assert "{%" not in text


def test_the_documented_lines_for_onnx_runtime_work(
    packaged: Packaged,
    opened: Callable[[Path], Detector],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (packaged.unpacked / FILES["documentation"]).read_text(encoding="utf-8")
    code = next(block for block in text.split("```python\n")[1:] if "onnxruntime" in block).split("```")[0]
    assert len(code.splitlines()) <= 20
    detector = opened(packaged.model)
    pixels = noise_pixels(80, 96, detector.channels, "uint8" if detector.channels == 3 else "uint16", seed=9)
    Image.fromarray(pixels.squeeze()).save(tmp_path / "image.png")
    shutil.copyfile(packaged.unpacked / FILES["onnx"], tmp_path / FILES["onnx"])
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    boxes = detector.detect(read_image(tmp_path / "image.png"), threshold=0.4)
    assert len(printed) == len(boxes) > 5
    np.testing.assert_allclose([[float(value) for value in line[:4]] for line in printed], boxes.xyxy, atol=0.5)
    assert [line[-1] for line in printed] == boxes.names


def test_the_figures_of_an_evaluation_go_into_the_documentation(
    rgb: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_export: Callable[[], None]
) -> None:
    from retinaj.boxes import Boxes
    from retinaj.evaluation import evaluate_boxes

    truth = Boxes([[0, 0, 10, 10], [20, 20, 50, 50]], [0, 1], read_record(rgb.model).class_names)
    found = Boxes(truth.xyxy, truth.label, truth.class_names, [0.9, 0.8])
    result = evaluate_boxes([truth], [found], max_detections=40)
    (tmp_path / "evaluation.json").write_text(result.to_json(), encoding="utf-8")
    with pytest.raises(RetinaJError, match="figures of other weights"):
        package_model(rgb.model, tmp_path / "p.zip", evaluation=tmp_path, log=lambda line: None)
    result = replace(result, weights_sha256=read_record(rgb.model).weights_sha256)
    (tmp_path / "evaluation.json").write_text(result.to_json(), encoding="utf-8")
    quick_export()
    package_model(rgb.model, tmp_path / "p.zip", evaluation=tmp_path, log=lambda line: None)
    text = zipfile.ZipFile(tmp_path / "p.zip").read("README.md").decode()
    assert "Measured on 1 images with 2 annotated objects" in text
    assert result.markdown() in text
    assert "No evaluation was made" not in text


def test_a_failed_test_leaves_nothing(
    rgb: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_export: Callable[[], None]
) -> None:
    quick_export()
    seen: list[Path] = []

    def fail(package: Path) -> None:
        seen.append(package)
        assert zipfile.is_zipfile(package)
        raise RetinaJError("bioimageio.core's test of the package failed")

    monkeypatch.setattr("retinaj_zoo.finishing.check_package", fail)
    before = contents(rgb.model)
    with pytest.raises(RetinaJError, match="test of the package failed"):
        package_model(rgb.model, tmp_path / "deep" / "package.zip", log=lambda line: None)
    assert not list(tmp_path.iterdir())
    assert not seen[0].parent.exists()
    assert contents(rgb.model) == before


def test_packaging_again_gives_the_same_content(rgb: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, but for the weights: their programs write the time, addresses in memory and running numbers into them."""
    from retinaj_zoo.checking import CheckResult

    monkeypatch.setattr("retinaj_zoo.finishing.check_package", lambda package: CheckResult(1, 0.0, ()))
    metadata = Metadata(authors=(Person(name="The test suite"),))
    again = package_model(rgb.model, tmp_path / "again.zip", metadata=metadata, log=lambda line: None).path
    with zipfile.ZipFile(rgb.package) as first, zipfile.ZipFile(again) as second:
        assert first.namelist() == second.namelist()
        weights = {FILES[name] for name in WEIGHT_FORMATS}
        for name in set(first.namelist()) - weights - {"rdf.yaml"}:
            assert first.read(name) == second.read(name), name
        texts = [load_yaml(archive.read("rdf.yaml"), "rdf.yaml") for archive in (first, second)]
        for text in texts:
            for entry in text["weights"].values():
                del entry["sha256"]
        assert texts[0] == texts[1]
        graphs = [onnx.load_from_string(archive.read(FILES["onnx"])) for archive in (first, second)]
        keras_files = [archive.read(FILES["keras_v3"]) for archive in (first, second)]
    assert onnx_content(graphs[0]) == onnx_content(graphs[1])
    assert keras_content(keras_files[0]) == keras_content(keras_files[1])
    image = np.load(rgb.unpacked / FILES["test_input"]).astype(np.float32) / 64 - 2
    answers = [saved_model_answer(path, image, tmp_path / path.stem) for path in (rgb.package, again)]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert (answers[0][0, :, 4] > 0).sum() >= 5


def onnx_content(model: onnx.ModelProto) -> tuple[Counter[Any], Counter[bytes]]:
    """The operations and the numbers of a graph, without names, which tf2onnx numbers as it goes."""
    operations = Counter(
        (node.op_type, tuple(sorted(attribute.SerializeToString() for attribute in node.attribute)), len(node.input))
        for node in model.graph.node
    )
    return operations, Counter(numpy_helper.to_array(tensor).tobytes() for tensor in model.graph.initializer)


def keras_content(content: bytes) -> tuple[list[str], Counter[bytes]]:
    """The layers and the numbers of a .keras file, without names, which Keras numbers as it goes."""
    arrays: list[bytes] = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(lambda _, item: arrays.append(item[()].tobytes()) if isinstance(item, h5py.Dataset) else None)
    return [layer["class_name"] for layer in layers], Counter(arrays)


def saved_model_answer(package: Path, image: NDArray[np.float32], folder: Path) -> NDArray[np.float32]:
    """What the SavedModel in a package answers on normalised images."""
    import tensorflow as tf

    with zipfile.ZipFile(package) as archive:
        content = archive.read(FILES["tensorflow_saved_model_bundle"])
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        bundle.extractall(folder)
    return tf.saved_model.load(folder).signatures["serving_default"](image=tf.constant(image))["detections"].numpy()


def test_only_the_weights_that_were_asked_for(rgb: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retinaj_zoo.checking import CheckResult

    # That bioimageio.core passes ONNX weights alone, test_bioimageio.py shows.
    monkeypatch.setattr("retinaj_zoo.finishing.check_package", lambda package: CheckResult(1, 0.0, ()))
    lines: list[str] = []
    summary = package_model(rgb.model, tmp_path / "p.zip", weights=["onnx"], log=lines.append)
    assert set(summary.weights_bytes) == {"onnx"}
    assert any(line.startswith("Weights: onnx ") and line.endswith(" MB.") for line in lines)
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert {name for name in archive.namelist() if name.startswith("weights")} == {FILES["onnx"]}
        [(name, entry)] = load_yaml(archive.read("rdf.yaml"), "rdf.yaml")["weights"].items()
    assert name == "onnx"
    assert entry.get("parent") is None
    image = noise_pixels(80, 96, 3, seed=9)
    answers = [open_package(path).runtime(image[None] / np.float32(64) - 2, 0.5) for path in (tmp_path / "p.zip", rgb.package)]
    np.testing.assert_array_equal(answers[0], answers[1])


@pytest.mark.parametrize(
    ("weights", "parents"),
    [
        (("keras_v3", "onnx"), {"keras_v3": None, "onnx": "keras_v3"}),
        (
            ("onnx", "tensorflow_saved_model_bundle"),
            {"tensorflow_saved_model_bundle": None, "onnx": "tensorflow_saved_model_bundle"},
        ),
    ],
)
def test_each_format_names_the_one_it_was_made_from(
    rgb: Packaged, tmp_path: Path, quick_export: Callable[[], None], weights: tuple[str, ...], parents: dict[str, str | None]
) -> None:
    quick_export()
    package_model(rgb.model, tmp_path / "p.zip", weights=weights, log=lambda line: None)
    entries = load_yaml(zipfile.ZipFile(tmp_path / "p.zip").read("rdf.yaml"), "rdf.yaml")["weights"]
    assert {name: entry.get("parent") for name, entry in entries.items()} == parents


@pytest.mark.parametrize(
    ("weights", "message"), [(["keras_v3"], "--weights lacks onnx"), (["onnx", "h5"], "names 'h5'"), ([], "lacks onnx")]
)
def test_refuses_weights_that_cannot_be(rgb: Packaged, tmp_path: Path, weights: list[str], message: str) -> None:
    with pytest.raises(RetinaJError, match=message):
        package_model(rgb.model, tmp_path / "p.zip", weights=weights, log=pytest.fail)


def test_without_a_network_a_github_user_is_told_apart_from_a_wrong_one(
    rgb: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_export: Callable[[], None]
) -> None:
    def no_network(*arguments: object, **options: object) -> None:
        raise httpx.ConnectError("no network")

    quick_export()
    monkeypatch.setattr("httpx.get", no_network)
    metadata = Metadata(authors=(Person(name="Ada", github_user="an-account-to-look-up"),))
    with pytest.raises(RetinaJError, match=r"GitHub could not be asked .* no network"):
        package_model(rgb.model, tmp_path / "p.zip", metadata=metadata, log=lambda line: None)
    assert not list(tmp_path.iterdir())


def test_an_example_with_as_many_boxes_as_the_model_can_give_is_told(
    rgb: Packaged, tmp_path: Path, quick_export: Callable[[], None]
) -> None:
    quick_export()
    lines: list[str] = []
    package_model(crowded_model(tmp_path / "model", rgb.model), tmp_path / "p.zip", log=lines.append)
    assert any(line.startswith("Warning: that is 5 boxes, as many as the model can give") for line in lines)


def crowded_model(folder: Path, model: Path) -> Path:
    """The model, but it gives no more than five boxes."""
    shutil.copytree(model, folder)
    record = read_record(folder)
    network = record.network.model_copy(update={"max_detections": 5})
    (folder / "model.json").write_text(record.model_copy(update={"network": network}).model_dump_json(), encoding="utf-8")
    return folder


def test_refuses_an_existing_output_before_any_work(rgb: Packaged, tmp_path: Path) -> None:
    output = tmp_path / "package.zip"
    output.write_text("mine")
    with pytest.raises(RetinaJError, match=r"package\.zip already exists"):
        package_model(rgb.model, output, log=pytest.fail)
    assert output.read_text() == "mine"


def test_refuses_another_suffix(rgb: Packaged, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"does not end with \.zip"):
        package_model(rgb.model, tmp_path / "package", log=pytest.fail)


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (None, "holds no sample image"),
        ("not json", "holds no sample image"),
        ('["sample.tif"]', "holds no sample image"),
        ("[" * 5000, "holds no sample image"),
        ('{"file": "../../secret.tif", "source": "x"}', "expected an image beside it"),
        ('{"file": "/etc/hostname", "source": "x"}', "expected an image beside it"),
        ('{"file": "link.tif", "source": "x"}', "expected an image beside it"),
        ('{"file": "gone.tif", "source": "x"}', "does not exist"),
    ],
)
def test_refuses_a_sample_image_that_is_not_one(rgb: Packaged, tmp_path: Path, note: str | None, message: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(rgb.model, model)
    (model / "training" / "sample.json").unlink()
    if sys.platform != "win32":
        (model / "training" / "link.tif").symlink_to(rgb.model / "training" / "sample.tif")
    if note is not None:
        (model / "training" / "sample.json").write_text(note)
    with pytest.raises(RetinaJError, match=message):
        package_model(model, tmp_path / "package.zip", log=lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_refuses_an_image_without_detections(rgb: Packaged, tmp_path: Path) -> None:
    from retinaj.model_folder import load_network, save_model

    record, network = load_network(rgb.model)
    for variable in network.variables:
        if "class_head" in variable.path:
            variable.assign(-10 * np.ones(variable.shape) if "bias" in variable.path else np.zeros(variable.shape))
    model = tmp_path / "model"
    save_model(model, record, network)
    Image.fromarray(noise_pixels(64, 64, 3)).save(tmp_path / "image.png")
    with pytest.raises(RetinaJError, match=r"finds nothing on .*image\.png"):
        package_model(model, tmp_path / "package.zip", image=tmp_path / "image.png", log=lambda line: None)


def test_another_image_can_be_given(rgb: Packaged, tmp_path: Path, quick_export: Callable[[], None]) -> None:
    quick_export()
    pixels = noise_pixels(90, 100, 3, seed=11)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    lines: list[str] = []
    summary = package_model(rgb.model, tmp_path / "p.zip", image=tmp_path / "own.png", log=lines.append)
    assert summary.example == str(tmp_path / "own.png")
    assert any(str(tmp_path / "own.png") in line for line in lines)
    assert any("No author was given" in line for line in lines)
    with zipfile.ZipFile(tmp_path / "p.zip") as archive, archive.open(FILES["test_input"]) as stream:
        stored = np.load(stream)
    assert stored.shape[1] <= 90
    assert hashlib.sha256(stored.tobytes()).hexdigest() in {hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()}


def test_a_foreign_evaluation_is_refused(rgb: Packaged, tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps({"images": 3}))
    with pytest.raises(RetinaJError, match="is not an evaluation by RetinaJ"):
        package_model(rgb.model, tmp_path / "p.zip", evaluation=tmp_path, log=lambda line: None)


def test_a_tampered_model_is_refused(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    with (model / "model.weights.h5").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(RetinaJError, match="SHA-256"):
        package_model(model, tmp_path / "p.zip", log=lambda line: None)

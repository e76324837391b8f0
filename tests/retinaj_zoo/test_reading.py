"""Opening packages: the three forms, what it costs, and what is refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from changed_packages import rewritten, setting
from onnx import TensorProto, helper
from tiny_models import Packaged, as_image, assert_same_boxes, noise_pixels

from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector
from retinaj_zoo import open_model, open_package


@pytest.mark.parametrize("form", ["package.zip", "folder", "rdf.yaml"])
def test_opens_every_form_of_a_package(rgb: Packaged, opened: Callable[[Path], Detector], form: str) -> None:
    path = {"package.zip": rgb.package, "folder": rgb.unpacked, "rdf.yaml": rgb.unpacked / "rdf.yaml"}[form]
    image = as_image(noise_pixels(70, 80, 3))
    expected = opened(rgb.model).detect(image)
    assert len(expected) >= 5
    assert_same_boxes(open_model(path).detect(image), expected)


def test_a_package_runs_without_tensorflow(rgb: Packaged) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from retinaj.images import read_image\n"
        "from retinaj_zoo import open_model\n"
        f"image = read_image(Path({str(rgb.model / 'training' / 'sample.tif')!r}))\n"
        f"print(len(open_model(Path({str(rgb.package)!r})).detect(image)))\n"
        "print([name for name in ('tensorflow', 'keras', 'bioimageio', 'tf2onnx') if name in sys.modules])\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, imported = process.stdout.splitlines()
    assert int(count) > 0
    assert imported == "[]"
    assert process.stderr == ""  # ONNX Runtime's warning of the overridable initializer among others


def test_the_number_of_threads_changes_nothing(rgb: Packaged) -> None:
    image = as_image(noise_pixels(70, 80, 3))
    assert_same_boxes(open_package(rgb.package, threads=1).detect(image), open_package(rgb.package).detect(image))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), r"without model\.json .* and without rdf\.yaml"),
        (lambda path: path.write_bytes(b""), r"is not a bioimage\.io package"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and then nothing"), r"is not a bioimage\.io package"),
        (lambda path: zipfile.ZipFile(path, "w").close(), r"without rdf\.yaml at its top"),
    ],
)
def test_refuses_what_is_no_model(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(RetinaJError, match=message):
        open_model(path)


SOURCE = ("weights", "onnx", "source")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting(*SOURCE, value="../weights.onnx"), "does not stay inside"),
        (setting(*SOURCE, value="/etc/passwd"), "does not stay inside"),
        (setting(*SOURCE, value="C:\\weights.onnx"), "does not stay inside"),
        (setting(*SOURCE, value="https://example.org/weights.onnx"), "does not stay inside"),
        (setting(*SOURCE, value=""), "does not stay inside"),
        (setting(*SOURCE, value="other.onnx"), r"lacks the file other\.onnx"),
        (setting(*SOURCE, value=["weights.onnx"]), r"weights\.onnx\.source"),
        (setting("weights", "onnx", "sha256", value="0" * 64), "SHA-256 of weights.onnx is not the one"),
        (setting("weights", "onnx", "sha256", value="abc"), r"weights\.onnx\.sha256"),
        (setting("weights", value={"torchscript": {"source": "x", "sha256": "0" * 64}}), "has no onnx weights"),
        (setting("weights", value={"onnx": {"source": "weights.onnx"}}), r"weights\.onnx\.sha256: Field required"),
        (setting("weights", "keras_v3", "source", value="../outside.keras"), "does not stay inside"),
        (setting("config", value={}), "describes a model of another program"),
        (setting("config", value=None), "describes a model of another program"),
        (setting("type", value="dataset"), "describes a dataset"),
        (setting("format_version", value="0.4.10"), r"format version 0\.4\.10"),
        (setting("config", "retinaj", value=3), r"config\.retinaj"),
        (setting("config", "retinaj", "format_version", value=99), "format_version"),
        (setting("config", "retinaj", "class_names", value=["cell"]), "1 class names for 3 classes"),
        (setting("config", "retinaj", "network", "max_detections", value=10**9), r"network\.max_detections"),
    ],
)
def test_refuses_a_hostile_or_foreign_description(
    rgb: Packaged, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = rewritten(rgb.package, tmp_path / "p.zip", change)
    with pytest.raises(RetinaJError, match=message) as caught:
        open_package(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.zip"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: &a [1]\nb: *a\n", r"uses YAML aliases \(\*a\)"),
        (b"[" * 100_000, "nested more than 64 levels"),
        (b"a: !!python/object/apply:os.system ['true']\n", "is not plain YAML"),
        (b"- a list\n", "holds list"),
        (b"type: model\n\xff\xfe", "is not plain YAML"),
        (b"x" * (2 * 1024**2 + 1), "at most 2,097,152"),
        (b"type: model\n", "describes a model of another program"),
    ],
)
def test_refuses_a_hostile_yaml(rgb: Packaged, tmp_path: Path, content: bytes, message: str) -> None:
    path = rewritten(rgb.package, tmp_path / "p.zip", rdf__yaml=content)
    with pytest.raises(RetinaJError, match=message):
        open_package(path)


@pytest.mark.parametrize("name", ["../outside", "/absolute", "a/../../b", "C:/x", "back\\slash", "line\nbreak"])
def test_refuses_names_that_leave_the_package(rgb: Packaged, tmp_path: Path, name: str) -> None:
    path = tmp_path / "p.zip"
    shutil.copyfile(rgb.package, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(RetinaJError, match="does not stay inside the package"):
        open_package(path)


def test_refuses_links_in_a_zip(rgb: Packaged, tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    shutil.copyfile(rgb.package, path)
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RetinaJError, match="which is a link"):
        open_package(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_refuses_two_files_of_one_name(rgb: Packaged, tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    shutil.copyfile(rgb.package, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("weights.onnx", b"other")
    with pytest.raises(RetinaJError, match=r"holds weights\.onnx twice"):
        open_package(path)


def test_refuses_too_many_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for number in range(1001):
            archive.writestr(str(number), b"")
    with pytest.raises(RetinaJError, match="holds 1,001 files"):
        open_package(tmp_path / "p.zip")


def test_refuses_a_zip_bomb_before_unpacking_it(rgb: Packaged, tmp_path: Path) -> None:
    path = rewritten(rgb.package, tmp_path / "p.zip", weights__onnx=bytes(64 * 1024**2))
    with pytest.raises(RetinaJError, match="no weights compress like that"):
        open_package(path)


def test_a_zip_that_lies_about_a_size_is_refused(rgb: Packaged, tmp_path: Path) -> None:
    path = rewritten(rgb.package, tmp_path / "p.zip", weights__onnx=bytes(64 * 1024**2))
    content = path.read_bytes().replace((64 * 1024**2).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(RetinaJError, match=r"damaged at 'weights\.onnx'"):
        open_package(path)


def test_refuses_a_damaged_zip(rgb: Packaged, tmp_path: Path) -> None:
    content = bytearray(rgb.package.read_bytes())
    with zipfile.ZipFile(rgb.package) as archive:
        at = archive.getinfo("weights.onnx").header_offset + 1000
    content[at : at + 50] = bytes(50)
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(RetinaJError, match=r"damaged at 'weights\.onnx'"):
        open_package(tmp_path / "p.zip")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_refuses_links_out_of_a_folder(rgb: Packaged, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shutil.copytree(rgb.unpacked, folder)
    (folder / "weights.onnx").unlink()
    (folder / "weights.onnx").symlink_to(rgb.unpacked / "weights.onnx")
    with pytest.raises(RetinaJError, match="a link to a place outside"):
        open_package(folder)


def with_weights(rgb: Packaged, tmp_path: Path, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    return rewritten(rgb.package, tmp_path / "p.zip", setting("weights", "onnx", "sha256", value=digest), weights__onnx=content)


def test_refuses_weights_that_are_no_graph(rgb: Packaged, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"weights\.onnx in .*p\.zip is not an ONNX file"):
        open_package(with_weights(rgb, tmp_path, b"\x80\x04 pickled?"))


def test_refuses_weights_that_read_other_files(rgb: Packaged, tmp_path: Path) -> None:
    model = onnx.load(rgb.unpacked / "weights.onnx")
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    with pytest.raises(RetinaJError, match="refers to weights in another file"):
        open_package(with_weights(rgb, tmp_path, model.SerializeToString()))


def test_refuses_weights_that_read_other_files_from_a_branch(rgb: Packaged, tmp_path: Path) -> None:
    hidden = TensorProto(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    hidden.external_data.add(key="location", value="../../secret")
    branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=hidden)], "branch", [], [])
    model = onnx.load(rgb.unpacked / "weights.onnx")
    model.graph.node.append(helper.make_node("If", ["condition"], ["result"], then_branch=branch, else_branch=branch))
    with pytest.raises(RetinaJError, match="refers to weights in another file"):
        open_package(with_weights(rgb, tmp_path, model.SerializeToString()))


def graph(node: Any, output_shape: list[Any]) -> bytes:
    """A small ONNX model with the inputs and the output of ours."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", "y", "x", 3])
    overlap = helper.make_tensor_value_info("overlap", TensorProto.FLOAT, [])
    output = helper.make_tensor_value_info("detections", TensorProto.FLOAT, output_shape)
    default = helper.make_tensor("overlap", TensorProto.FLOAT, [], [0.5])
    model = helper.make_graph([node], "graph", [image, overlap], [output], [default])
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


class Payload:
    """Unpickled, it would make a folder."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self._target,)


@pytest.mark.parametrize("weight_format", ["pytorch_state_dict", "torchscript", "keras_hdf5"])
def test_weights_that_could_run_code_are_not_read(rgb: Packaged, tmp_path: Path, weight_format: str) -> None:
    """Beside ONNX they lie unread; alone they are refused. The Python file that they name is not imported."""
    content = pickle.dumps(Payload(tmp_path / "made by a pickle"))
    code = f"import os; os.mkdir({str(tmp_path / 'made by code')!r})".encode()
    entry = {
        "source": "weights.pt",
        "sha256": hashlib.sha256(content).hexdigest(),
        "architecture": {"source": "network.py", "callable": "Network", "sha256": hashlib.sha256(code).hexdigest()},
    }
    files = {"weights__pt": content, "network__py": code}
    beside = rewritten(rgb.package, tmp_path / "beside.zip", setting("weights", weight_format, value=entry), **files)
    assert open_package(beside).class_names == open_package(rgb.package).class_names
    alone = rewritten(rgb.package, tmp_path / "alone.zip", setting("weights", value={weight_format: entry}), **files)
    with pytest.raises(RetinaJError, match=f"has no onnx weights, which are needed here; it has {weight_format}"):
        open_package(alone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.zip", "beside.zip"]


def test_refuses_another_graph(rgb: Packaged, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(graph(helper.make_node("Identity", ["image"], ["detections"]), [None] * 4))
    del model.graph.initializer[:]
    with pytest.raises(RetinaJError, match="It was not exported by RetinaJ"):
        open_package(with_weights(rgb, tmp_path, model.SerializeToString()))


def test_refuses_answers_that_are_no_detections(rgb: Packaged, tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["image"], ["detections"])
    detector = open_package(with_weights(rgb, tmp_path, graph(node, [None] * 4)))
    with pytest.raises(RetinaJError, match=r"answered with float32 \[1, 32, 40, 3\]; expected detections"):
        detector.detect(as_image(noise_pixels(32, 40, 3)))


def test_a_graph_that_asks_for_too_much_memory_gives_an_error(rgb: Packaged, tmp_path: Path) -> None:
    shape = helper.make_tensor("value", TensorProto.INT64, [3], np.array([1, 2**40, 6]))
    constant = helper.make_node("Constant", [], ["shape"], value=shape)
    model = onnx.load_model_from_string(graph(helper.make_node("ConstantOfShape", ["shape"], ["detections"]), [None] * 3))
    model.graph.node.insert(0, constant)
    with pytest.raises(RetinaJError, match=r"cannot be loaded by ONNX Runtime|failed on an image"):
        open_package(with_weights(rgb, tmp_path, model.SerializeToString())).detect(as_image(noise_pixels(32, 40, 3)))

"""Other people's detectors behind our interface: every box is where the original says, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_detectors import ROWS, detector, expected_rows, spots
from numpy.typing import NDArray
from onnx import TensorProto, helper

from retinaj.errors import RetinaJError
from retinaj.prediction.onnx_runtime import OnnxRuntime
from retinaj_zoo.foreign_graph import ForeignOptions, WrappedDetector, wrap_detector

NAMES = ("even", "odd")
# Two of one class near each other, one of the other class, all far enough from the border that no box is clipped.
PLACES = ((20, 30, 255), (21, 32, 200), (40, 61, 180), (50, 10, 140))


def wrapped(model: onnx.ModelProto, outputs: str, **options: Any) -> WrappedDetector:
    return wrap_detector(model.SerializeToString(), ForeignOptions(outputs, NAMES, **options), "their.onnx")


def run(found: WrappedDetector, image: NDArray[np.uint8], overlap: float = 1.0) -> NDArray[np.float32]:
    """The rows [N, 6] that are no padding."""
    rows = OnnxRuntime(found.model)(image[None].astype(np.float32) / 255, overlap)
    assert rows.shape == (1, found.max_detections, 6)
    count = int((rows[0, :, 4] > 0).sum())
    assert not rows[0, count:].any()
    return rows[0, :count]


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("layout", ["nchw", "nhwc", "chw"])
@pytest.mark.parametrize("form", ["torchvision", "torchvision_scores_first", "rows", "rows_and_masks", "raw", "raw_and_masks"])
def test_boxes_of_a_graph_of_free_size(form: str, layout: str, opset: int) -> None:
    found = wrapped(detector(form, layout=layout, opset=opset), "torchvision" if "torch" in form else "ultralytics")
    assert found.opset == opset
    np.testing.assert_allclose(run(found, spots((66, 90), *PLACES)), expected_rows(*PLACES), atol=1e-4)
    assert len(run(found, spots((66, 90)))) == 0


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("form", ["torchvision", "rows", "raw"])
@pytest.mark.parametrize("image_size", [(64, 96), (40, 96), (128, 50), (200, 300)])
def test_boxes_of_a_graph_of_fixed_size_are_in_pixels_of_the_image(form: str, image_size: tuple[int, int], opset: int) -> None:
    """A square of light fills whole pixels of the scaled image; its middle must come back where it was."""
    found = wrapped(detector(form, size=(64, 96), opset=opset), "torchvision" if form == "torchvision" else "ultralytics")
    image = np.zeros((*image_size, 3), np.uint8)
    y, x = image_size[0] // 2, image_size[1] // 3
    image[y - 4 : y + 4, x - 4 : x + 4] = 255
    rows = run(found, image)
    ratio = min(64 / image_size[0], 96 / image_size[1])
    centre = ((rows[:, :2] + rows[:, 2:4]) / 2).mean(axis=0)
    np.testing.assert_allclose(centre, (x, y), atol=0.6 / ratio)
    inside = rows[(rows[:, :2].min(axis=1) > 0) & (rows[:, 2] < image_size[1]) & (rows[:, 3] < image_size[0])]
    np.testing.assert_allclose(inside[:, 2] - inside[:, 0], 8 / ratio, rtol=0.02)
    np.testing.assert_allclose(inside[:, 3] - inside[:, 1], 8 / ratio, rtol=0.02)


def test_scaling_leaves_an_image_of_the_right_size_alone() -> None:
    found = wrapped(detector("rows", size=(66, 90)), "ultralytics")
    np.testing.assert_allclose(run(found, spots((66, 90), *PLACES)), expected_rows(*PLACES), atol=1e-4)


def greedy(rows: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
    """NMS per class as every textbook has it."""
    kept: list[NDArray[np.float32]] = []
    for row in rows:
        for other in kept:
            low, high = np.maximum(row[:2], other[:2]), np.minimum(row[2:4], other[2:4])
            shared = np.clip(high - low, 0, None).prod()
            union = (row[2:4] - row[:2]).prod() + (other[2:4] - other[:2]).prod() - shared
            if row[5] == other[5] and shared > overlap * union:
                break
        else:
            kept.append(row)
    return np.array(kept)


@pytest.mark.parametrize("overlap", [0.1, 0.33, 0.5, 0.7])
@pytest.mark.parametrize("form", ["torchvision", "raw"])
def test_nms_equals_greedy_nms_at_any_overlap(form: str, overlap: float) -> None:
    random = np.random.default_rng(3)
    image = np.zeros((64, 96, 3), np.uint8)
    places = random.permutation(50 * 80)[:100]
    for value, place in zip(range(140, 240), places, strict=True):
        image[7 + place // 80, 8 + place % 80] = value
    found = wrapped(detector(form), "torchvision" if form == "torchvision" else "ultralytics")
    everything = run(found, image, 1.0)
    assert len(everything) == 100
    rows = run(found, image, overlap)
    assert 5 < len(rows) < 100
    np.testing.assert_allclose(rows, greedy(everything, overlap), atol=1e-4)


def test_raw_outputs_get_nms_and_others_keep_theirs() -> None:
    assert wrapped(detector("raw"), "raw=output0").overlap == 0.5
    assert wrapped(detector("rows"), "rows=output0").overlap == 1.0
    assert wrapped(detector("rows"), "rows=output0", overlap=0.4).overlap == 0.4


def test_outputs_can_be_named_and_labels_counted_otherwise() -> None:
    model = detector("torchvision")
    by_name = wrapped(model, "scores=scores, labels=labels, boxes=boxes")
    image = spots((66, 90), *PLACES)
    np.testing.assert_allclose(run(by_name, image), expected_rows(*PLACES), atol=1e-4)
    from_zero = run(wrapped(model, "torchvision", first_label=0), image)
    assert set(from_zero[:, 5]) == {2.0}  # 1 became the second class; 2 belongs to no name and is left out
    assert len(from_zero) < len(PLACES)


@pytest.mark.parametrize(
    ("form", "asked", "most"),
    [("rows_and_masks", 300, ROWS), ("rows_and_masks", 20, 20), ("rows", 400, 400), ("raw", 400, 400)],
)
def test_k_is_what_was_asked_for_or_the_rows_that_the_file_always_gives(form: str, asked: int, most: int) -> None:
    found = wrapped(detector(form), "ultralytics", max_detections=asked)
    assert found.max_detections == most
    places = tuple((10 + 12 * (at // 8), 10 + 12 * (at % 8), 255 - 2 * at) for at in range(60))
    rows = run(found, spots((120, 120), *places))
    np.testing.assert_allclose(rows, expected_rows(*places)[:most], atol=1e-3)


def test_no_more_than_k_rows_and_none_below_the_floor() -> None:
    image = spots((66, 90), *PLACES)
    few = wrapped(detector("rows"), "ultralytics", max_detections=2)
    rows = OnnxRuntime(few.model)(image[None].astype(np.float32) / 255, 1.0)
    np.testing.assert_allclose(rows[0], expected_rows(*PLACES)[:2], atol=1e-4)
    high = wrapped(detector("rows"), "ultralytics", score_floor=0.7)
    assert len(run(high, image)) == 3


def test_boxes_are_clipped_to_the_image_and_not_to_its_padding() -> None:
    rows = run(wrapped(detector("rows"), "ultralytics"), spots((40, 50), (1, 48, 255)))
    np.testing.assert_allclose(rows, [[44.5, 0, 50, 5.5, 1, 1]], atol=1e-4)


def test_nms_sees_boxes_as_the_original_gave_them_and_leaves_out_those_in_the_padding() -> None:
    """Clipped at the corner, the two boxes would overlap by 0.69; as given, by 0.6."""
    found = wrapped(detector("raw"), "ultralytics")
    image = spots((40, 50), (0, 0, 255), (0, 2, 200))
    assert len(run(found, image, 0.5)) == 1
    assert len(run(found, image, 0.65)) == 2
    padded = wrapped(detector("raw", size=(64, 96)), "ultralytics", mean=(-0.6, 0, 0), max_detections=10)
    rows = OnnxRuntime(padded.model)(np.zeros((1, 64, 64, 3), np.float32), 1.0)[0]  # everything shines, the padding too
    assert len(rows) == 10
    assert (rows[:, 2:4] > rows[:, :2]).all()
    assert (rows[:, 2:4] <= 64).all()


def test_mean_and_std_are_part_of_the_graph() -> None:
    image = spots((66, 90), *PLACES)
    found = wrapped(detector("rows"), "ultralytics", mean=(0.5, 0, 0), std=(0.5, 1, 1))
    # (value - 0.5) / 0.5 > 0.5 leaves those brighter than 0.75.
    np.testing.assert_allclose(run(found, image)[:, 4], [1.0, (200 / 255 - 0.5) * 2], atol=1e-4)
    with pytest.raises(RetinaJError, match=r"--std has 2 values, but their\.onnx takes 3 channels"):
        wrapped(detector("rows"), "ultralytics", std=(1, 2))


def test_class_names_come_from_the_file_if_it_has_them() -> None:
    model = detector("raw")
    model.metadata_props.add(key="names", value="{0: 'red cell (old)', 1: \"it's\"}")
    found = wrap_detector(model.SerializeToString(), ForeignOptions("ultralytics"), "their.onnx")
    assert found.class_names == ("red cell (old)", "it's")


@pytest.mark.parametrize(
    "names", ["", "{0: 'a', 2: 'b'}", "__import__('os').abort()", "(" * 5000, "{0: 3}", "[]", "x" * 300_000]
)
def test_class_names_that_are_none_are_refused(names: str) -> None:
    model = detector("raw")
    model.metadata_props.add(key="names", value=names)
    with pytest.raises(RetinaJError, match="does not name its classes"):
        wrap_detector(model.SerializeToString(), ForeignOptions("ultralytics"), "their.onnx")


def ultralytics(form: str, task: str, **options: Any) -> bytes:
    """An Ultralytics file of that task."""
    model = detector(form, **options)
    del model.metadata_props[:]
    model.metadata_props.add(key="task", value=task)
    return model.SerializeToString()


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = detector("torchvision")
    change(model)
    return model.SerializeToString()


def second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("sizes", TensorProto.INT64, [1, 2]))


def input_shape(*sides: int) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        del model.graph.input[:]
        model.graph.input.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, list(sides)))

    return change


def outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


@pytest.mark.parametrize(
    ("content", "outputs", "message"),
    [
        (b"\x80\x04 a pickle?", "torchvision", "is not an ONNX file"),
        (detector("rows", opset=11).SerializeToString()[:400], "torchvision", "is not an ONNX file"),
        (changed(second_input), "torchvision", r"has 2 inputs \(images, sizes\)"),
        (changed(input_shape(1, 5, 64, 64)), "torchvision", "expected an image of 1 or 3 channels"),
        (changed(input_shape(8, 3, 64, 64)), "torchvision", "takes 8 images at a time"),
        (changed(input_shape(1, 3, 2**30, 2**30)), "torchvision", "both at most 8192"),
        (changed(outside), "torchvision", "keeps its weights in another file"),
        (detector("rows").SerializeToString(), "torchvision", "expected boxes, labels and scores"),
        (changed(lambda model: None), "ultralytics", r"expected \[1, N, 6\]"),
        (changed(lambda model: None), "yolo", "--outputs is 'yolo'; expected torchvision, ultralytics"),
        (changed(lambda model: None), "boxes=boxes,labels=labels,scores=confidence", "has no output confidence; it has boxes"),
        (detector("raw", classes=5).SerializeToString(), "ultralytics", "with 2 classes, one side must be 6"),
        (ultralytics("raw_and_masks", "detect"), "ultralytics", "with 2 classes, one side must be 6"),
        (ultralytics("rows_and_masks", "detect"), "rows=output0", "expected rows of 6"),
        (ultralytics("raw", "obb"), "ultralytics", "for the task obb, which gives no upright boxes"),
        (
            detector("torchvision_scores_first").SerializeToString(),
            "boxes=boxes,labels=scores,scores=labels",
            "has whole numbers in the output labels, which --outputs calls the scores",
        ),
    ],
)
def test_refuses_what_it_cannot_wrap(content: bytes, outputs: str, message: str) -> None:
    with pytest.raises(RetinaJError, match=message) as caught:
        wrap_detector(content, ForeignOptions(outputs, NAMES), "their.onnx")
    assert "\n" not in str(caught.value)


def test_an_old_file_is_refused() -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", ["images"], ["boxes"])],
            "old",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
            [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 3, 8, 8])],
        ),
        opset_imports=[helper.make_opsetid("", 9)],
        ir_version=6,
    )
    with pytest.raises(RetinaJError, match="has opset 9; export it again with 11 or higher"):
        wrapped(model, "torchvision")

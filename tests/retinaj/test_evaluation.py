"""Average precision and counts against cases worked out by hand."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.evaluation import EvaluationResult, evaluate_boxes, match_boxes
from retinaj.evaluation.matching import best_of_each_class
from retinaj.evaluation.voc_ap import all_point_ap, eleven_point_ap, precision_recall

CLASSES = ("cell", "debris")


def boxes(corners, labels=None, scores=None, class_names=CLASSES) -> Boxes:
    labels = [0] * len(corners) if labels is None else labels
    return Boxes(np.array(corners).reshape(-1, 4), labels, class_names, scores)


def row(count: int, **shift) -> np.ndarray:
    """Squares of 10 pixels that do not touch each other."""
    left = np.arange(count)[:, None] * 20 + shift.get("x", 0)
    return np.hstack([left, left * 0, left + 10, left * 0 + 10])


# --- matching


def test_better_scores_choose_first_whatever_the_order():
    truth = boxes(row(1))
    found = boxes([[0, 0, 10, 10], [1, 0, 11, 10]], scores=[0.3, 0.9])
    match = match_boxes(truth, found)
    assert match.partner.tolist() == [-1, 0]
    assert (match.true_positives, match.false_positives, match.false_negatives) == (1, 1, 0)


def test_taken_objects_are_not_found_twice_but_the_next_best_is():
    truth = boxes([[0, 0, 10, 10], [3, 0, 13, 10]])
    found = boxes([[0, 0, 10, 10], [1, 0, 11, 10]], scores=[0.9, 0.8])
    assert match_boxes(truth, found).partner.tolist() == [0, 1]


def test_classes_do_not_mix():
    match = match_boxes(boxes(row(1), [1]), boxes(row(1), [0], [0.9]))
    assert (match.true_positives, match.false_positives, match.false_negatives) == (0, 1, 1)


@pytest.mark.parametrize(("x", "found"), [(3.3, 1), (10 / 3, 1), (3.4, 0)])
def test_exactly_half_counts(x, found):
    # shifted by x, the IoU of two 10 pixel squares is (10 - x) / (10 + x): one half at 10/3
    assert match_boxes(boxes(row(1)), boxes(row(1, x=x), scores=[1])).true_positives == found


def test_empty_sides():
    nothing = Boxes.empty(CLASSES, scored=True)
    assert match_boxes(boxes(row(2)), nothing).false_negatives == 2
    assert match_boxes(nothing, boxes(row(2), scores=[1, 1])).false_positives == 2


def test_limit_is_per_class():
    found = boxes(row(5), [0, 0, 0, 1, 1], [0.1, 0.3, 0.2, 0.5, 0.4])
    assert best_of_each_class(found, 2).score.tolist() == pytest.approx([0.3, 0.2, 0.5, 0.4])


# --- PASCAL VOC

# The worked example of Padilla et al., "A Survey on Performance Metrics for Object-Detection Algorithms" (2020): 15 objects
# and 24 detections, of which these, by falling score, are right. All-point AP 24.56 %, 11-point AP 26.84 %.
RIGHT = [1, 3, 10, 12, 13, 14, 23]


def worked_example() -> tuple[np.ndarray, np.ndarray]:
    hit = np.isin(np.arange(1, 25), RIGHT).cumsum()
    return hit / np.arange(1, 25), hit / 15


def test_voc_ap_of_the_worked_example():
    assert all_point_ap(*worked_example()) == pytest.approx(0.2456, abs=1e-4)
    assert eleven_point_ap(*worked_example()) == pytest.approx(0.2684, abs=1e-4)


def test_voc_precision_and_recall_of_the_worked_example_from_boxes():
    """The same example as boxes, over three images: right ones lie on an object, wrong ones beside all of them."""
    truth = [boxes(row(5), class_names=("cell",)) for _ in range(3)]
    corners, scores = [[], [], []], [[], [], []]
    free = [(image, at) for image in range(3) for at in range(5)]
    for rank in range(1, 25):
        image, at = free.pop() if rank in RIGHT else (rank % 3, 100 + rank)
        corners[image].append(row(at + 1)[at])
        scores[image].append(1 - rank / 100)
    found = [boxes(each, scores=score, class_names=("cell",)) for each, score in zip(corners, scores, strict=True)]
    precision, recall = precision_recall(truth, found, 0)
    expected = worked_example()
    np.testing.assert_allclose(precision, expected[0])
    np.testing.assert_allclose(recall, expected[1])
    result = evaluate_boxes(truth, found, max_detections=100)
    assert result.overall.voc_ap50 == pytest.approx(0.2456, abs=1e-4)
    assert result.overall.voc11_ap50 == pytest.approx(0.2684, abs=1e-4)


def test_voc_compares_only_with_the_nearest_object():
    truth = boxes([[0, 0, 10, 10], [3, 0, 13, 10]])
    # both are nearest to the first object; COCO would give the second detection to the second object
    found = boxes([[0, 0, 10, 10], [1, 0, 11, 10]], scores=[0.9, 0.8])
    precision, _ = precision_recall([truth], [found], 0)
    assert precision.tolist() == [1, 0.5]


# --- COCO


def test_half_of_the_objects_found():
    # recall ends at .5, which 51 of COCO's 101 recalls reach, with precision 1
    result = evaluate_boxes([boxes(row(2))], [boxes(row(1), scores=[0.9])], max_detections=100)
    assert result.overall.ap50 == pytest.approx(51 / 101)
    assert result.overall.ap30 == result.overall.ap75 == result.overall.ap == result.overall.ap50
    assert result.overall.voc_ap50 == pytest.approx(0.5)
    assert (result.classes[1].ap50, result.classes[1].objects, result.curves[1].precision) == (None, 0, ())


def test_loose_boxes_count_at_low_thresholds_only():
    # IoU 7.6 / 12.4 = .613: right at .5, .55 and .6, wrong at the seven thresholds above
    loose = evaluate_boxes([boxes(row(3))], [boxes(row(3, x=2.4), scores=[0.9] * 3)], max_detections=100).overall
    assert (loose.ap30, loose.ap50, loose.ap75) == (1, 1, 0)
    assert loose.ap == pytest.approx(0.3)
    # IoU 5.2 / 14.8 = .351
    looser = evaluate_boxes([boxes(row(3))], [boxes(row(3, x=4.8), scores=[0.9] * 3)], max_detections=100).overall
    assert (looser.ap30, looser.ap50) == (1, 0)


def test_false_alarm_above_a_hit_halves_precision():
    found = boxes(np.vstack([row(1), row(1, x=500)]), scores=[0.5, 0.9])
    result = evaluate_boxes([boxes(row(1))], [found], max_detections=100)
    assert result.overall.ap50 == pytest.approx(0.5)
    assert result.curves[0].precision == (0.5,) * 101
    assert result.curves[0].score == (0.9, *(0.5,) * 100)  # recall 0 is reached by the false alarm already


def test_mean_over_classes_that_have_objects():
    truth = [boxes(row(2), [0, 1]), Boxes.empty(CLASSES)]
    found = [boxes(row(1), [0], [0.9]), boxes(row(1), [0], [0.2])]
    result = evaluate_boxes(truth, found, max_detections=10)
    assert [each.ap50 for each in result.classes] == [1, 0]
    assert result.overall.ap50 == 0.5
    assert (result.overall.objects, result.images) == (2, 2)


def test_more_than_a_hundred_objects_per_image_count():
    truth, found = boxes(row(150)), boxes(row(150), scores=np.linspace(1, 0.5, 150))
    assert evaluate_boxes([truth], [found], max_detections=150).overall.ap == 1
    # 100 of 150 found: recalls 0 to .66
    assert evaluate_boxes([truth], [found], max_detections=100).overall.ap == pytest.approx(67 / 101)


def test_counts_at_the_threshold_and_the_best_threshold():
    truth = boxes(row(4), [0, 0, 0, 1])
    found = boxes(np.vstack([row(3), row(2, x=900)]), [0, 0, 1, 0, 1], [0.9, 0.6, 0.7, 0.3, 0.1])
    result = evaluate_boxes([truth], [found], max_detections=100, threshold=0.65)
    overall = result.overall
    assert (overall.true_positives, overall.false_positives, overall.false_negatives) == (1, 1, 3)
    assert (overall.precision, overall.recall, overall.f1) == (0.5, 0.25, pytest.approx(2 / 6))
    assert [each.false_positives for each in result.classes] == [0, 1]
    # two right, one wrong, two missed from .6 on
    assert (result.best_threshold, result.best_f1) == (pytest.approx(0.6), pytest.approx(4 / 7))
    lower = evaluate_boxes([truth], [found], max_detections=100, threshold=result.best_threshold)
    assert lower.overall.f1 == pytest.approx(result.best_f1)


def test_no_detection_at_all():
    result = evaluate_boxes([boxes(row(2))], [Boxes.empty(CLASSES, scored=True)], max_detections=100)
    assert (result.overall.ap, result.overall.voc_ap50, result.overall.recall, result.overall.precision) == (0, 0, 0, 0)
    assert (result.best_threshold, result.best_f1) == (None, 0)


def test_no_object_at_all():
    result = evaluate_boxes([Boxes.empty(CLASSES)], [boxes(row(1), scores=[0.9])], max_detections=100)
    assert (result.overall.ap, result.overall.voc_ap50, result.overall.false_positives) == (None, None, 1)


@pytest.mark.parametrize(
    ("truth", "found", "reason"),
    [
        ([], [], "at least one image"),
        ([boxes(row(1))], [], "for 0 images"),
        ([boxes(row(1))], [boxes(row(1))], "no scores"),
        ([boxes(row(1))], [boxes(row(1), scores=[1], class_names=("cell", "other"))], "'other'"),
        ([boxes(row(1)), Boxes.empty(["x"])], [boxes(row(1), scores=[1]), Boxes.empty(["x"], scored=True)], "different"),
    ],
)
def test_what_does_not_belong_together_is_refused(truth, found, reason):
    with pytest.raises(RetinaJError, match=reason):
        evaluate_boxes(truth, found, max_detections=100)


def scene(seed: int, images: int = 3, count: int = 12) -> tuple[list[Boxes], list[Boxes]]:
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        corner = rng.uniform(0, 80, (count, 2))
        xyxy = np.hstack([corner, corner + rng.uniform(5, 30, (count, 2))])
        label = rng.integers(0, 2, count)
        truth.append(boxes(xyxy, label))
        moved = xyxy[rng.random(count) < 0.8]
        kept = label[: len(moved)]
        found.append(boxes(moved + rng.normal(0, 2, moved.shape), kept, rng.random(len(moved))))
    return truth, found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_order_of_images_does_not_matter(seed, order):
    truth, found = scene(seed)
    one = evaluate_boxes(truth, found, max_detections=50)
    other = evaluate_boxes([truth[at] for at in order], [found[at] for at in order], max_detections=50)
    assert one == other


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_false_alarm_never_helps_and_ap_falls_with_iou(seed):
    truth, found = scene(seed)
    before = evaluate_boxes(truth, found, max_detections=50).overall
    alarm = boxes([[900, 900, 910, 910]], scores=[0.5])
    after = evaluate_boxes(truth, [Boxes.concatenate([found[0], alarm]), *found[1:]], max_detections=50).overall
    assert after.ap <= before.ap
    assert after.voc_ap50 <= before.voc_ap50
    assert before.ap30 >= before.ap50 >= before.ap75


def test_json_round_trip_and_tables():
    result = evaluate_boxes(*scene(3), max_detections=50, threshold=0.25)
    assert EvaluationResult.from_json(result.to_json()) == result
    lines = result.markdown().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("| class | objects | AP@.3 | AP@.5 |")
    assert f"| all | {result.overall.objects} | {result.overall.ap30:.3f} | {result.overall.ap50:.3f} |" in lines[2]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(result.table())
    text = console.export_text()
    assert all(name in text for name in ("precision", "AP@.5:.95", *CLASSES))  # whole words: 80 columns are enough
    assert f"{result.overall.ap50:.3f}" in text


def test_a_pipe_in_a_class_name_does_not_break_the_table():
    truth, found = boxes(row(1), class_names=("a|b",)), boxes(row(1), scores=[1], class_names=("a|b",))
    assert "a\\|b" in evaluate_boxes([truth], [found], max_detections=9).markdown()


@pytest.mark.parametrize("change", [("0.25", '"high"'), ('"images"', '"pictures"'), ('"ap": ', '"ap": 1'), ("{", "[")])
def test_foreign_json_is_refused(change):
    text = evaluate_boxes(*scene(3), max_detections=50, threshold=0.25).to_json()
    assert change[0] in text
    with pytest.raises(RetinaJError, match=r"x\.json is not an evaluation"):
        EvaluationResult.from_json(text.replace(*change, 1), "x.json")


def test_fast_enough_for_every_epoch():
    rng = np.random.default_rng(0)
    truth, found = scene(1, images=87, count=12)
    for at, each in enumerate(found):
        corner = rng.uniform(0, 600, (300 - len(each), 2))
        noise = boxes(np.hstack([corner, corner + 40]), rng.integers(0, 2, len(corner)), rng.random(len(corner)) * 0.3)
        found[at] = Boxes.concatenate([each, noise])
    start = time.monotonic()
    evaluate_boxes(truth, found, max_detections=300)
    assert time.monotonic() - start < 10  # 0.4 s on one idle core; this only catches a blow-up

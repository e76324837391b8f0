"""The report: complete, self-contained, and safe against what class names and file names may hold."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from retinaj import report
from retinaj.boxes import Boxes
from retinaj.dataset import Dataset, Sample
from retinaj.errors import RetinaJError
from retinaj.evaluation import evaluate_boxes
from retinaj.model_folder import ModelRecord, TrainingRecord
from retinaj.network.config import NetworkConfig
from retinaj.normalization import FixedScale, PercentileScale
from retinaj.report import write_report
from retinaj.report.examples import review_images
from retinaj.report.facts import model_facts
from retinaj.report.figures import draw_counts, draw_history, draw_precision_recall
from retinaj.report.history import read_history
from retinaj.report.words import describe
from retinaj.training.settings import TrainingSettings

HEADER = "epoch,step,seconds,learning_rate,loss,class_loss,box_loss,val_loss,val_ap,val_ap50"
# A class may be called anything; this must neither run nor break the page nor the figures.
NASTY = ('<script>alert("1")</script>', "$\\frac{1}$ & _x", "_hidden", "x'\"")


def dataset(folder: Path, images: int = 8, class_names: tuple[str, ...] = ("cell", "debris")) -> tuple[Dataset, list[Boxes]]:
    """Images with four objects each; on image i, i of the detections are wrong."""
    rng = np.random.default_rng(0)
    samples, predictions = [], []
    for at in range(images):
        path = folder / f"image {at}.png"
        Image.fromarray(rng.integers(0, 255, (60, 90, 3), np.uint8)).save(path)
        corners = np.array([[5, 5, 20, 20], [30, 5, 50, 20], [5, 30, 20, 50], [60, 30, 80, 55]], np.float32)
        label = np.arange(4) % len(class_names)
        samples.append(Sample(path.stem, path, Boxes(corners, label, class_names)))
        wrong = np.arange(4) < min(at, 4)
        predictions.append(Boxes(corners + wrong[:, None] * 9, label, class_names, np.linspace(0.9, 0.5, 4)))
    return Dataset(class_names, tuple(samples), ("a.xml: box 1 <b>is</b> outside",)), predictions


def record(class_names: tuple[str, ...] = ("cell", "debris")) -> ModelRecord:
    return ModelRecord(
        name="Cells & <more>",
        class_names=class_names,
        pixel_type="uint8",
        network=NetworkConfig(num_classes=len(class_names)),
        normalization=FixedScale(),
        training=TrainingRecord(
            settings=TrainingSettings(seed=77, epochs=40),
            window=256,
            images=12,
            boxes=345,
            class_counts=dict.fromkeys(class_names, 5),
            validation_images=3,
            anchor_coverage=0.987,
            class_coverage=dict.fromkeys(class_names, 0.9),
            epochs_done=9,
            best_epoch=7,
            seconds=3700,
            seconds_per_step=0.25,
            started="2026-01-02T03:04:05+00:00",
        ),
        versions={"retinaj": "1.2.3"},
    )


def history(folder: Path, rows: int = 3) -> Path:
    path = folder / "history.csv"
    lines = [f"{at},{at * 10},{at * 5},0.001,{1 / at},0.5,0.5,{1.1 / at},{0.1 * at},{0.2 * at}" for at in range(1, rows + 1)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def written(folder: Path, *, class_names: tuple[str, ...] = ("cell", "debris"), **changes) -> str:
    data, predictions = dataset(folder, class_names=class_names)
    result = evaluate_boxes([sample.boxes for sample in data.samples], predictions, max_detections=100)
    options = {
        "record": record(class_names),
        "history": history(folder),
        "dataset": data,
        "predictions": predictions,
        "result": result,
    }
    write_report(folder / "report.html", **(options | changes))
    return (folder / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a browser would find: elements, addresses, text; and whether every element is closed."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.handle_attributes(attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.handle_attributes(attrs)

    def handle_attributes(self, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_is_whole_and_loads_nothing(tmp_path):
    text = written(tmp_path)
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert page.handlers == []
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.addresses)
    assert not re.findall(r"url\((?!#)|@import", text)
    assert sum(address.startswith("data:") for address in page.addresses) == 6  # three worst, three best, each once
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert {a or b for a, b in used} <= set(ids)


def test_page_says_what_was_measured(tmp_path):
    data, predictions = dataset(tmp_path)
    result = evaluate_boxes([sample.boxes for sample in data.samples], predictions, max_detections=100)
    text = Page(written(tmp_path)).text
    for scores in (result.overall, *result.classes):
        for value in (scores.ap, scores.ap30, scores.ap50, scores.ap75, scores.voc_ap50, scores.voc11_ap50):
            assert f"{value:.3f}" in text
    for expected in ("Cells & <more>", "8 annotated images", "98.7%", "1.2.3", "77", "0.250 s per step", "1 h 1 min"):
        assert expected in text
    assert "a.xml: box 1 <b>is</b> outside" in text
    assert "of the 32 annotated objects" in text


def test_worst_and_best_images(tmp_path):
    text = Page(written(tmp_path)).text
    worst, best = text.split("The worst images")[1].split("The best images")
    assert "image 0" in best
    assert "4 found, 0 missed, 0 wrong" in best
    assert "0 found, 4 missed, 4 wrong" in worst
    assert "image 0" not in worst


def test_nasty_names_are_text_everywhere(tmp_path):
    page = Page(written(tmp_path, class_names=NASTY))
    assert page.open == []
    assert "script" not in page.tags
    for name in NASTY:
        assert name in page.text


def test_report_without_model_history_or_notes(tmp_path):
    data, predictions = dataset(tmp_path, images=1)
    result = evaluate_boxes([data.samples[0].boxes], predictions, max_detections=100)
    bare = Dataset(data.class_names, data.samples)
    text = written(tmp_path, record=None, history=None, dataset=bare, predictions=predictions, result=result)
    for heading in ("Training", "The model", "Notes on", "The best images"):
        assert f"<h2>{heading}" not in text
    assert "1 annotated image " in Page(text).text
    (tmp_path / "empty.csv").write_text(HEADER + "\n")
    assert "<h2>Training" not in written(tmp_path, history=tmp_path / "empty.csv")


def test_images_without_objects_or_detections(tmp_path):
    data, _ = dataset(tmp_path, images=2)
    empty = Dataset(data.class_names, tuple(Sample(s.name, s.image_path, Boxes.empty(data.class_names)) for s in data.samples))
    nothing = [Boxes.empty(data.class_names, scored=True)] * 2
    result = evaluate_boxes([sample.boxes for sample in empty.samples], nothing, max_detections=100)
    assert "nothing can be said" in written(tmp_path, dataset=empty, predictions=nothing, result=result)
    result = evaluate_boxes([sample.boxes for sample in data.samples], nothing, max_detections=100)
    assert "finds 0 %" in written(tmp_path, dataset=data, predictions=nothing, result=result)


def test_vanished_image_is_named_and_no_page_is_left(tmp_path):
    data, predictions = dataset(tmp_path)
    result = evaluate_boxes([sample.boxes for sample in data.samples], predictions, max_detections=100)
    for sample in data.samples:
        sample.image_path.unlink()
    with pytest.raises(RetinaJError, match=r"image \d\.png does not exist"):
        write_report(tmp_path / "r.html", record=None, history=None, dataset=data, predictions=predictions, result=result)
    assert not (tmp_path / "r.html").exists()


def test_deep_images_are_stretched_and_large_ones_made_smaller(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.linspace(100, 900, 2000 * 1000).reshape(1000, 2000).astype(np.uint16)).save(path)
    names = ("cell",)
    sample = Sample("deep", path, Boxes([[0, 0, 500, 500]], [0], names))
    (review,) = review_images([sample], [Boxes([[0, 0, 500, 500]], [0], names, [0.9])], 0.4)
    review = review.with_picture()
    assert review.size == (2000, 1000)
    assert len(review.picture) < 200_000
    assert (review.f1, review.objects[0].right, review.found[0].label) == (1, True, "0.90")


# --- the parts


def svg_texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_figures_are_valid_svg_in_the_colours_of_the_page(tmp_path):
    data, predictions = dataset(tmp_path, class_names=NASTY)
    result = evaluate_boxes([sample.boxes for sample in data.samples], predictions, max_detections=100)
    reviews = review_images(data.samples, predictions, 0.4)
    drawings = [draw_precision_recall(result), draw_counts(reviews, NASTY)]
    for svg in drawings:
        texts = svg_texts(svg)
        assert all(any(name in text for text in texts) for name in NASTY)
        assert "currentColor" in svg
        assert "var(--line)" in svg
        assert "#010203" not in svg
        assert "DejaVu" not in svg
    assert draw_precision_recall(result) == drawings[0]


def test_dots_are_at_the_precision_and_recall_of_the_table(tmp_path, monkeypatch):
    data, predictions = dataset(tmp_path)
    result = evaluate_boxes([sample.boxes for sample in data.samples], predictions, max_detections=100)
    dots = []
    real = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, *args, **more: dots.append(args) or real(self, *args, **more))
    draw_precision_recall(result)
    found = [args[:2] for args in dots if args[2:] == ("o",)]
    expected = [(each.recall, each.precision) for each in result.classes if each.true_positives + each.false_positives]
    assert found == expected
    assert any(precision < 1 for _, precision in found)


def test_history_of_one_epoch_is_visible_and_gaps_do_not_fail(tmp_path):
    (row,) = read_history(history(tmp_path, rows=1))
    assert draw_history([row]).count("<svg") == 3
    (tmp_path / "gap.csv").write_text(f"{HEADER}\n1,10,5,0.001,nan,0.5,0.5,,nan,inf\n")
    assert draw_history(read_history(tmp_path / "gap.csv")).count("<svg") == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no column 'epoch'"),
        ("a,b\n1,2\n", "no column 'epoch'"),
        (HEADER + "\n1,2,3,x,1,1,1,1,1,1\n", "could not convert"),
        ("\xff", "not the history"),
    ],
)
def test_foreign_history_is_refused(tmp_path, content, reason):
    path = tmp_path / "other.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RetinaJError, match=r"other\.csv is not the history") as caught:
        read_history(path)
    assert reason in str(caught.value)
    with pytest.raises(RetinaJError, match="does not exist"):
        read_history(tmp_path / "gone.csv")


def sentences(truth: list[Boxes], found: list[Boxes], threshold: float = 0.4) -> str:
    samples = [Sample(str(at), Path(f"{at}.png"), boxes) for at, boxes in enumerate(truth)]
    result = evaluate_boxes(truth, found, max_detections=1000, threshold=threshold)
    return " ".join(describe(result, review_images(samples, found, threshold)))


def squares(count: int, label: int = 0, score: float | None = None) -> Boxes:
    left = np.arange(count)[:, None] * 20.0
    scores = None if score is None else np.full(count, score)
    return Boxes(np.hstack([left, left * 0, left + 10, left * 0 + 10]), np.full(count, label), ("cell", "debris"), scores)


def test_words_about_a_perfect_model():
    text = sentences([squares(60)], [squares(60, score=0.9)])
    assert "finds 100 % of the 60 annotated objects, and 100 % of its boxes are right." in text
    assert "60 boxes: as many as annotated objects" in text
    assert "There is no annotated object of debris" in text
    assert "few objects" not in text
    assert "would balance" not in text


def test_words_about_counts_threshold_and_few_objects():
    text = sentences([squares(10)], [squares(8, score=0.3)])
    assert "finds 0 % of the 10" in text
    assert "0 boxes for 10 objects, 100 % fewer" in text
    assert "the threshold 0.30 would balance the two best (F1 0.89 instead of 0.00)" in text
    assert "few objects of cell (10)" in text


def test_words_name_the_weakest_class_and_a_range():
    truth = [Boxes.concatenate([squares(5), squares(5, label=1)]) for _ in range(9)]
    found = [Boxes.concatenate([squares(5, score=0.9), squares(at % 4 + 1, label=1, score=0.9)]) for at in range(9)]
    text = sentences(truth, found)
    assert "The weakest class is debris: 47 %" in text
    assert re.search(
        r"finds 73 % of the 90 annotated objects \(with other images of this kind, likely 6\d % to [78]\d %\)", text
    )


def test_facts_tell_the_normalisation():
    facts = dict(model_facts(record()))
    assert facts["Normalisation"] == "fixed: pixel × 0.01562 − 2"
    assert facts["Epochs"] == "9 of 40, the best was number 7"
    deep = record().model_copy(update={"normalization": PercentileScale()})
    assert dict(model_facts(deep))["Normalisation"] == "per image and channel, percentiles 1 to 99.8"


@pytest.mark.parametrize("page", ["page.html", "description.html", "augmentation.html", "check.html"])
def test_all_pages_have_the_shared_style_outside_of_their_own(page):
    """style.html brings its own <style>: inside another one, browsers would show half of it as text."""
    template = (Path(report.__file__).parent / page).read_text(encoding="utf-8")
    assert template.count('{% include "style.html" %}') == 1
    own = re.findall(r"<style>(.*?)</style>", template, re.DOTALL)
    assert not [style for style in own if "{%" in style]

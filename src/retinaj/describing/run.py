"""Describing a data set into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from retinaj.dataset import Dataset
from retinaj.describing.examples import choose_examples
from retinaj.describing.sheet import draw_sheet
from retinaj.describing.survey import Survey, survey_dataset
from retinaj.files import atomic_folder, require_absent, write_text
from retinaj.report.description import write_description

REPORT_FILE = "report.html"
RECORD_FILE = "description.json"
EXAMPLES_FILE = "examples.png"


def describe(dataset: Dataset, title: str, output: Path | None, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Measure a data set and write the report, the same as JSON, and a page of example images.

    Args:
        dataset: with one object at least, as `load_dataset` gives it.
        title: above the report.
        output: folder to make; None writes nothing.
        progress: called with (images read, images to read).

    Raises:
        RetinaJError: if the folder exists, or an image cannot be read.
    """
    if output is not None:
        require_absent(output)
    survey = survey_dataset(dataset, progress)
    if output is not None:
        examples = choose_examples(survey)
        with atomic_folder(output) as temporary:
            write_description(temporary / REPORT_FILE, title, survey, examples)
            write_text(temporary / RECORD_FILE, survey.description.to_json() + "\n")
            if examples:
                draw_sheet(examples, dataset.class_names).save(temporary / EXAMPLES_FILE)
    return survey

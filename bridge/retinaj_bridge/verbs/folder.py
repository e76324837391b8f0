"""The verb `folder`: a folder of images, searched as by `retinaj predict`."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from retinaj.counting import counted
from retinaj.durations import duration
from retinaj.errors import RetinaJError
from retinaj.files import require_writable
from retinaj.prediction.batch import ALL_BOXES_FILE, COUNTS_FILE, ImageOutcome, predict
from retinaj.prediction.contact_sheet import CONTACT_SHEET
from retinaj.prediction.detector import DEFAULT_THRESHOLD, limit_words
from retinaj.prediction.record import SETTINGS_FILE
from retinaj_bridge.models import Models
from retinaj_bridge.recent_models import remember_model
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.verbs.checking import number_of, path_of
from retinaj_bridge.wire import Fields

_MOST_FAILURES = 20  # that are told one by one
_SECONDS_BETWEEN_LOOKS = 0.1

_lock = threading.Lock()
_written_to: set[Path] = set()


def folder_verb(models: Models) -> Verb:
    """`folder`: every image of a folder -> files in another; done images are not searched again.

    Request: model; source, a folder of images or one image; output, the folder to make, or the one of an interrupted run;
    threshold and overlap, empty for the defaults. Reports "image 12 of 300, about 4 min 10 s left". Canceled, it leaves the
    finished images, and the same request goes on from there.

    Answer: images, boxes, skipped (done by an earlier run), failed: numbers; counts, detections, sheet: paths of the tables and
    the contact sheet, empty where there is none; summary, a sentence; warnings, a list of sentences.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        source = path_of(fields, "source", "The folder of images")
        output = path_of(fields, "output", "The folder for the results")
        threshold = number_of(fields, "threshold", DEFAULT_THRESHOLD)
        overlap = number_of(fields, "overlap", None)
        model = path_of(fields, "model", "The model")
        if output == source or source in output.parents:
            raise RetinaJError(
                f"The results would go to {output}, into the folder of the images, where RetinaJ changes nothing. Choose a "
                "folder outside."
            )
        require_writable(output / SETTINGS_FILE)
        call.report(-1, f"opening {model.name}")
        opened = models.opened(model)
        detector = opened.detector
        remember_model(opened.path, detector.name)
        pace = _Pace()

        def progress(done: int, total: int) -> None:
            left = f", about {duration(pace.seconds_left(total - done))} left" if done < total and pace.is_known else ""
            shown = f"image {min(done + 1, total)} of {total}{left}"
            call.report(done / total, f"{source.name}: {shown}")

        def drawn(done: int, total: int) -> None:
            call.report(1, f"contact sheet: image {done} of {total}")

        with _alone_in(output, call):
            outcomes = predict(
                source,
                detector,
                output,
                threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
                overlap=overlap,
                progress=progress,
                outcome_made=pace.note,
                sheet_progress=drawn,
            )
        failed = [outcome for outcome in outcomes if outcome.error]
        skipped = sum(outcome.skipped for outcome in outcomes)
        boxes = sum(sum(outcome.counts.values()) for outcome in outcomes)
        summary = f"{counted(boxes, 'box')} on {counted(len(outcomes) - len(failed), 'image')}"
        summary += f", {skipped} of which were done earlier" * bool(skipped) + f"; the results are in {output}."
        warnings = [str(outcome.error) for outcome in failed[:_MOST_FAILURES]]
        if len(failed) > _MOST_FAILURES:
            warnings.append(f"{len(failed) - _MOST_FAILURES} more images could not be used; {COUNTS_FILE} lists them.")
        full = [outcome.source.name for outcome in outcomes if outcome.full]
        if full:
            warnings.append(f"On {counted(len(full), 'image')}, such as {full[0]}, there are {limit_words(detector)}.")
        made = {"counts": COUNTS_FILE, "detections": ALL_BOXES_FILE, "sheet": CONTACT_SHEET}
        return {
            "images": str(len(outcomes)),
            "boxes": str(boxes),
            "skipped": str(skipped),
            "failed": str(len(failed)),
            **{name: str(output / file) if (output / file).is_file() else "" for name, file in made.items()},
            "summary": summary,
            "warnings": warnings,
        }

    return answer


@contextmanager
def _alone_in(output: Path, call: Call) -> Generator[None]:
    """Wait for another call that writes to the same folder: one that was canceled finishes its image first."""
    while True:
        with _lock:
            if output not in _written_to:
                _written_to.add(output)
                break
        call.report(-1, f"waiting for another run into {output.name}")
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        with _lock:
            _written_to.discard(output)


class _Pace:
    """How long an image takes: of those that were searched, not of those that an earlier run had done."""

    def __init__(self) -> None:
        self._images = 0
        self._seconds = 0.0
        self._last = time.monotonic()

    def note(self, outcome: ImageOutcome) -> None:
        """An image is done."""
        now = time.monotonic()
        if not outcome.skipped:
            self._images += 1
            self._seconds += now - self._last
        self._last = now

    @property
    def is_known(self) -> bool:
        """Whether an image was searched yet."""
        return self._images > 0

    def seconds_left(self, images: int) -> float:
        """For so many images."""
        return self._seconds / max(self._images, 1) * images

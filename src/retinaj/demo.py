"""`retinaj demo`: the documented commands one after the other, on example images or on a PASCAL VOC folder.

Each step is a process of its own, started and shown exactly as a user would type it, so that what the demo does can be
repeated step by step, and what it proves holds for the command line and not only for the functions behind it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from retinaj.dataset import load_dataset
from retinaj.durations import duration
from retinaj.errors import RetinaJError
from retinaj.evaluation import EvaluationResult
from retinaj.files import require_absent, require_file, require_folder

EXAMPLE_EPOCHS = 3
# What the example model must reach on its held-out images, or the demo has failed.
EXAMPLE_AP50 = 0.90
DATA_EPOCHS = 30
# A look at the ROI sets of a few held-out images is enough; the report has all of them.
IMAGES_FOR_IMAGEJ = 6
# A step that was told to stop may first write down what it has reached.
_SECONDS_TO_STOP = 30


@dataclass(frozen=True)
class VocFolder:
    """A data set in the layout of PASCAL VOC: images, one XML file for each, and lists of names.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def images(self) -> Path:
        """The folder of images."""
        return self.root / "JPEGImages"

    @property
    def annotations(self) -> Path:
        """The folder of XML files."""
        return self.root / "Annotations"

    def names(self, part: str) -> Path:
        """The list of names of `part`: train, val or test."""
        return self.root / "ImageSets" / "Main" / f"{part}.txt"

    def check(self) -> None:
        """Look for everything the demo needs, before it starts.

        Raises:
            RetinaJError: naming what is missing.
        """
        expected = "; the demo expects the layout of PASCAL VOC: JPEGImages, Annotations, ImageSets/Main/{train,val,test}.txt"
        require_folder(self.root, "a folder of images and annotations" + expected)
        require_folder(self.images, "the folder of images" + expected)
        require_folder(self.annotations, "the folder of XML files" + expected)
        for part in ("train", "val", "test"):
            require_file(self.names(part), f"the names of the {part} images, one a line" + expected)


@dataclass
class _Steps:
    """Runs commands, and keeps the time that each took."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def run(self, command: str, *arguments: str | Path) -> None:
        """Run `retinaj COMMAND ARGUMENTS...` in a process of its own and wait for it.

        Raises:
            RetinaJError: if it fails; its own message has been printed by then.
        """
        words = [command, *map(str, arguments)]
        shown = subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
        self.console.print()
        self.console.print(f"$ retinaj {shown}", style="bold", markup=False, highlight=False, soft_wrap=True)
        begin = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "retinaj", *words], stdin=subprocess.DEVNULL)
        try:
            code = process.wait()
        except BaseException:
            # Ctrl-C has reached the step as well.
            try:
                process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
            raise
        self.seconds[command] = time.monotonic() - begin
        if code:
            raise RetinaJError(f"The demo stopped: `retinaj {shown}` failed with exit code {code}; its message is above.")


def run_demo(
    data: Path | None = None,
    output: Path | None = None,
    epochs: int | None = None,
    console: Console | None = None,
) -> Path:
    """Train, evaluate, package and test a model, and let an ImageJ macro put its boxes into the ROI Manager.

    Args:
        data: a folder in the layout of PASCAL VOC, with ImageSets/Main/train.txt, val.txt and test.txt; it is only read.
            Default: example images, which are drawn into the output folder.
        output: the folder to make; default: retinaj-demo in the current folder, or retinaj-demo-2, -3 ... if that exists.
        epochs: of the training; default: EXAMPLE_EPOCHS or DATA_EPOCHS.
        console: where the commands and the summary are shown; default: standard output.

    Returns:
        The output folder.

    Raises:
        RetinaJError: if `data` lacks something, `output` exists, a step fails, or the example model, trained for its
            default number of epochs, stays below EXAMPLE_AP50.
    """
    console = console or Console()
    begin = time.monotonic()
    macro = find_macro("detect_folder.ijm")
    if data is not None:
        VocFolder(data).check()
    output = new_folder() if output is None else output
    require_absent(output)
    output.mkdir(parents=True, exist_ok=True)

    steps = _Steps(console)
    folder = VocFolder(output / "example-data" if data is None else data)
    if data is None:
        steps.run("example-data", folder.root)
    name = "example" if data is None else data.resolve().name
    model, package = output / f"{name}-detector", output / f"{name}-detector.zip"
    evaluation, rois = output / "evaluation", output / "roi-sets"
    default_epochs = EXAMPLE_EPOCHS if data is None else DATA_EPOCHS

    source = (folder.images, folder.annotations)
    training_options = ("--validation", folder.names("val"), "--epochs", str(epochs or default_epochs))
    steps.run("train", *source, "--names", folder.names("train"), *training_options, "--output", model)
    steps.run("evaluate", *source, "--names", folder.names("test"), "--model", model, "--output", evaluation)
    steps.run("package", model, "--output", package)
    pictures = _copy_images(folder, output / "images-for-imagej")
    steps.run("imagej", macro, f"model={package}", f"input={pictures}", f"output={rois}")

    scores = evaluation / "evaluation.json"
    overall = EvaluationResult.from_json(scores.read_text(encoding="utf-8"), str(scores)).overall
    ap50, ap = overall.ap50 or 0.0, overall.ap or 0.0
    _summarise(console, steps, time.monotonic() - begin, ap50, ap, (evaluation / "report.html", package, rois))
    if data is None and epochs is None and ap50 < EXAMPLE_AP50:
        raise RetinaJError(f"AP@.5 on the held-out example images is {ap50:.3f}; the demo expects at least {EXAMPLE_AP50:.2f}.")
    return output


def find_macro(name: str) -> Path:
    """A macro of the folder macros/, in the checkout or where `pip install` puts it.

    Raises:
        RetinaJError: if it is in neither place.
    """
    checkout = Path(__file__).resolve().parents[2] / "macros" / name
    installed = Path(sysconfig.get_path("data")) / "share" / "retinaj" / "macros" / name
    for path in (checkout, installed):
        if path.is_file():
            return path
    raise RetinaJError(f"The macro {name} is neither {checkout} nor {installed}: install RetinaJ again.")


def new_folder() -> Path:
    """The first of retinaj-demo, retinaj-demo-2, ... that does not exist."""
    path, count = Path("retinaj-demo"), 1
    while path.exists():
        count += 1
        path = Path(f"retinaj-demo-{count}")
    return path


def _copy_images(folder: VocFolder, target: Path) -> Path:
    """Copy the first few held-out images to `target`: macros run over a folder, and the user's own stays as it is."""
    target.mkdir()
    held_out = load_dataset(folder.images, folder.annotations, names=folder.names("test"))
    for sample in held_out.samples[:IMAGES_FOR_IMAGEJ]:
        shutil.copyfile(sample.image_path, target / sample.image_path.name)
    return target


def _summarise(
    console: Console, steps: _Steps, seconds: float, ap50: float, ap: float, results: tuple[Path, Path, Path]
) -> None:
    """Say how good the model is, where the results are and how long it took."""
    report, package, rois = (path.resolve() for path in results)
    times = ", ".join(f"{command} {duration(taken)}" for command, taken in steps.seconds.items())
    lines = (
        f"On the held-out images: AP@.5 {ap50:.3f}, AP@.5:.95 {ap:.3f}",
        f"Report (open it in a browser): {report}",
        f"Package for the BioImage Model Zoo: {package}",
        f"ROI sets (drag one onto ImageJ or Fiji): {rois}",
        f"Time: {duration(seconds)} ({times})",
    )
    console.print()
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

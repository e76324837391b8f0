"""Every parameter of the ZeroCostDL4Mic RetinaNet notebook (1.14.1), and the RetinaJ option that does it, tried.

    python benchmarks/notebook_parameters.py

Draws a dozen small images, gives each command as a user would, reads in what it left whether the option did what it says, and
prints the table of docs/results.md. An option that did not ends it.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.multiply import IMAGES_FOLDER
from retinaj.example_data import make_example_data
from retinaj.model_folder import TRAINING_FOLDER, ModelRecord, read_record

# Small enough for a minute each; the options that are tried come on top.
_SMALL = "--windows-per-epoch 4 --downsampling 1 --window 64 --levels 3-5 --pyramid-width 16 --seed 1"
_FIRST = "--epochs 1 --batch-size 2 --learning-rate 0.0002 --validation 0.25 --class-weight 1.5 --box-weight 2.5"
_FINDER = "--backbone light_small --epochs 4 --windows-per-epoch 200 --learning-rate 0.003 --warmup-steps 20"
Row = tuple[str, str, str, str]


def main() -> None:
    """Try everything and print the table."""
    with tempfile.TemporaryDirectory() as name:
        rows = Trial(Path(name)).rows()
    print("| parameter of the notebook | its default | RetinaJ | tried: |")
    print("| --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def check(met: bool, what: str) -> str:
    """`what` was seen; ends the script if it was not."""
    if not met:
        raise SystemExit(f"Not so: {what}.")
    return what


class Trial:
    """Images, and what the commands make of them, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        data = folder / "data"
        make_example_data(data, train=8, validation=2, test=2, size=128)
        self._images, self._annotations = data / "JPEGImages", data / "Annotations"
        self._data = (str(self._images), str(self._annotations))

    def retinaj(self, *words: str | Path) -> None:
        """Run a command to its end; its messages are shown if it fails."""
        command = [sys.executable, "-m", "retinaj", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"`retinaj {' '.join(command[3:])}` succeeds:\n{done.stdout}{done.stderr}")

    def train(self, name: str, *words: str | Path) -> ModelRecord:
        """Train a model, and read its description."""
        self.retinaj("train", *self._data, "--output", self._folder / name, *_SMALL.split(), *words)
        return read_record(self._folder / name)

    def rows(self) -> list[Row]:
        """The lines of the table."""
        return [*self._main_parameters(), *self._augmentation(), *self._weights(), *self._evaluation(), *self._prediction()]

    def _main_parameters(self) -> list[Row]:
        record = self.train("my_model", *_FIRST.split(), "--backbone", "mobilenet_v2")
        training, settings = record.training, record.training.settings
        found = len(list(self._images.iterdir()))
        used = training.images + training.validation_images
        files = check((self._folder / "my_model" / "model.weights.h5").is_file(), "model.json and model.weights.h5 in it")
        with (self._folder / "my_model" / TRAINING_FOLDER / "history.csv").open(newline="", encoding="utf-8") as stream:
            history = list(csv.DictReader(stream))
        return [
            ("`Training_Source`", "", "`retinaj train IMAGES …`", check(used == found, f"all {found} images")),
            (
                "`Annotations`",
                "",
                "`retinaj train … ANNOTATIONS`",
                check(training.boxes > 0, f"boxes of {len(training.class_counts)} classes"),
            ),
            ("`model_name`", "", "the last part of `--output`", check(record.name == "my_model", f"model {record.name!r}")),
            ("`model_path`", "", "the rest of `--output`; nothing is overwritten", files),
            (
                "`number_of_epochs`",
                "100",
                "`--epochs 1`, or `--minutes`",
                check(training.epochs_done == 1, f"{training.epochs_done} epoch done"),
            ),
            (
                "`Use_Default_Advanced_Parameters`",
                "True",
                "leave the options out",
                check(settings.optimizer == "adamw", f"optimizer {settings.optimizer}, unasked"),
            ),
            ("`batch_size`", "8", "`--batch-size 2`", check(settings.batch_size == 2, f"batches of {settings.batch_size}")),
            (
                "`learning_rate`",
                "1e-4",
                "`--learning-rate 0.0002`",
                check(
                    0 < float(history[0]["learning_rate"]) <= settings.learning_rate == 2e-4,
                    f"at most {settings.learning_rate:g}",
                ),
            ),
            (
                "`percentage_validation`",
                "10",
                "`--validation 0.25`",
                check(training.validation_images * 4 == found, f"{training.validation_images} of {found} images"),
            ),
            (
                "`classification_weight`",
                "1.0",
                "`--class-weight 1.5`",
                check(settings.class_weight == 1.5, f"weight {settings.class_weight:g}"),
            ),
            (
                "`localization_weight`",
                "1.0",
                "`--box-weight 2.5`",
                check(settings.box_weight == 2.5, f"weight {settings.box_weight:g}"),
            ),
            (
                "`Verbose` (mAP of each epoch)",
                "True",
                "always shown and kept",
                check("val_ap50" in history[0], "`val_ap50` in history.csv"),
            ),
        ]

    def _augmentation(self) -> list[Row]:
        off = self.train("plain", "--augment", "none", "--epochs", "1").training.settings.augmentation
        found = len(list(self._images.iterdir()))
        seen: list[str] = []
        for times in (2, 8):
            output = self._folder / f"times{times}"
            self.retinaj("augment", *self._data, "--times", str(times), "--validation", "0.25", "--output", output)
            copies = len(list((output / IMAGES_FOLDER).iterdir()))
            kept = found // 4
            seen.append(
                check(copies == times * (found - kept) + kept, f"{found - kept} training images became {copies - kept}")
            )
        return [
            (
                "`Use_Data_augmentation`",
                "True",
                "on; `--augment none` turns it off",
                check(off == AugmentationConfig.off(), "every strength 0"),
            ),
            (
                "`multiply_dataset_by`",
                "2",
                "not needed: windows vary anew in each epoch; for copies `retinaj augment --times 2` to `8`",
                "; ".join(seen),
            ),
        ]

    def _weights(self) -> list[Row]:
        backbones = ["mobilenet_v2"]  # of the first model
        for backbone in ("resnet50", "mobilenet_v1"):
            record = self.train(backbone, "--backbone", backbone, "--epochs", "1")
            check(record.network.backbone == backbone, f"the backbone is {backbone}")
            backbones.append(backbone)
        started = self.train("continued", "--weights-from", self._folder / "my_model", "--epochs", "1").training.started_from
        digest = read_record(self._folder / "my_model").weights_sha256
        came = check(started is not None and started.weights_sha256 == digest, "started from the weights of 'my_model'")
        chosen = "`--backbone resnet50`, `mobilenet_v1`, `mobilenet_v2` or one of ten others"
        return [
            ("`Weights_choice` (the backbone)", "Resnet50", chosen, ", ".join(sorted(backbones))),
            ("`Use_pretrained_model`", "False", "`--weights-from MODEL`", came),
            ("`pretrained_model_folder`", "", "the MODEL of `--weights-from`: a folder or a package", came),
            ("continue an interrupted training", "not there", "the same command with `--resume`", self._resumed()),
        ]

    def _resumed(self) -> str:
        folder = self._folder / "interrupted"
        words = ["train", *self._data, "--output", str(folder), *_SMALL.split(), "--epochs", "3"]
        process = subprocess.Popen([sys.executable, "-m", "retinaj", *words], stderr=subprocess.DEVNULL)
        while not (folder / TRAINING_FOLDER / "state.npz").is_file() and process.poll() is None:
            time.sleep(0.1)
        process.terminate()
        check(process.wait() != 0, "the training was stopped after its first epoch")
        self.retinaj(*words, "--resume")
        with (folder / TRAINING_FOLDER / "history.csv").open(newline="", encoding="utf-8") as stream:
            epochs = [row["epoch"] for row in csv.DictReader(stream)]
        resumed = "Resuming after epoch" in (folder / TRAINING_FOLDER / "training.log").read_text(encoding="utf-8")
        return check(resumed and epochs == ["1", "2", "3"], "stopped after an epoch, then epochs 1, 2, 3 in history.csv")

    def _evaluation(self) -> list[Row]:
        output = self._folder / "evaluation"
        self.retinaj("evaluate", *self._data, "--model", self._folder / "my_model", "--output", output)
        images = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))["images"]
        seen = check(images == len(list(self._images.iterdir())), f"a report on {images} images")
        command = "`retinaj evaluate IMAGES ANNOTATIONS --model MODEL`"
        return [
            ("`Source_QC_folder`, `Annotations_QC_folder`", "", command, seen),
            ("`Use_the_current_trained_model`, `QC_model_folder`", "True", "the MODEL of `--model`", seen),
        ]

    def _prediction(self) -> list[Row]:
        self.train("finder", *_FINDER.split())  # the others have learnt too little to find anything
        everything = self._scores("all", 0.02)
        middle = sorted(everything)[len(everything) // 2]
        fewer = self._scores("some", middle)
        some = 0 < len(fewer) < len(everything) and min(fewer) >= middle - 5e-4  # the table has three digits
        seen = check(some, f"{len(fewer)} of {len(everything)} boxes at a threshold of {middle:.3f}")
        each = check(len(list((self._folder / "all").glob("*_RoiSet.zip"))) > 0, "boxes as tables and as ROI sets for ImageJ")
        return [
            ("`Data_folder`, `Result_folder`", "", "`retinaj predict IMAGES --output FOLDER`", each),
            ("`Score_threshold`", "0.4", "`--threshold`", seen),
            ("`Prediction_model_path`", "", "the MODEL of `--model`", each),
        ]

    def _scores(self, name: str, threshold: float) -> list[float]:
        """The scores of all boxes that are found on all images."""
        words = ("--model", self._folder / "finder", "--threshold", str(threshold), "--output", self._folder / name)
        self.retinaj("predict", self._images, *words)
        scores: list[float] = []
        for image in self._images.iterdir():
            with (self._folder / name / f"{image.stem}.csv").open(newline="", encoding="utf-8") as stream:
                scores += [float(row["score"]) for row in csv.DictReader(stream)]
        return scores


if __name__ == "__main__":
    main()

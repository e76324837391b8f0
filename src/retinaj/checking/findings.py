"""What `retinaj check` can find, how bad each of it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from retinaj.images import natural_key

_VERBS = ("annotates ", "is ", "has ", "shows ", "lists ", "cannot ", "begins ", "contains ", "defines ")

Corners = tuple[float, float, float, float]


class Grade(StrEnum):
    """How bad a finding is.

    An error would make training or figures wrong without anybody noticing, and only a person can say what is meant: training
    and evaluation refuse it. A warning is usually a mistake, which training gets along with: it leaves the box out, cuts it,
    or takes it as it is. A note is only worth knowing.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Check:
    """One thing that is looked for: its grade, a heading for people, and what to do where it is found."""

    grade: Grade
    title: str
    advice: str


# In each grade the most serious first: the order in which they are shown. The keys are in the JSON and stay as they are.
CHECKS: Mapping[str, Check] = {
    "unreadable-annotation": Check(
        Grade.ERROR,
        "Annotation files that cannot be read",
        "Export the annotations of these images again, or take the files away.",
    ),
    "no-annotations": Check(
        Grade.ERROR,
        "Folders without annotations that RetinaJ reads",
        "Name the images first and then the file or folder of their annotations; `--format` says what these are.",
    ),
    "unreadable-object": Check(
        Grade.ERROR,
        "Objects that cannot be read",
        "Draw these objects again with your annotation tool, or delete them from the file.",
    ),
    "unreadable-image": Check(
        Grade.ERROR,
        "Images that cannot be read",
        "Copy the image again from the microscope or the backup; if there is none, take it and its annotation away.",
    ),
    "ambiguous-image": Check(
        Grade.ERROR,
        "Annotations that fit several images",
        "Give the images different names, or remove the one that was not annotated.",
    ),
    "annotated-twice": Check(
        Grade.ERROR, "Images that are annotated twice", "Keep one of the two annotations, and take the other away."
    ),
    "other-size": Check(
        Grade.ERROR,
        "Boxes for an image of another size",
        "The image was scaled, cropped or turned after it had been annotated: use the original, or annotate it as it is now.",
    ),
    "no-plane": Check(
        Grade.ERROR,
        "Boxes on stacks that do not say on which plane they lie",
        "Do what the sentence says: `--z` is an option of this and of the other commands.",
    ),
    "nothing-to-learn": Check(
        Grade.ERROR,
        "No object in all of the data",
        "Annotate some objects, or name the annotations that belong to these images: other commands refuse data without any.",
    ),
    "swapped-corners": Check(
        Grade.ERROR,
        "Boxes with swapped corners",
        "If only few boxes have it, `--fix` puts their corners in order. If many have it, the last two numbers may be width "
        "and height: export the annotations again.",
    ),
    "class-spelling": Check(
        Grade.ERROR,
        "Classes that differ only by case, blanks, - or _",
        "They would be learnt as different classes. `--fix` gives them the name that is used most.",
    ),
    "untrained-class": Check(
        Grade.ERROR,
        "Classes without objects in the training images",
        "A model cannot learn them: move images with such objects to the training images, or correct the class.",
    ),
    "listed-missing": Check(
        Grade.ERROR, "Listed images that are not there", "Correct the name in the list, or put the image into the folder."
    ),
    "in-two-parts": Check(
        Grade.ERROR,
        "Images that are in two parts of the data",
        "Figures on images that were trained on say nothing: take the image out of one of the two lists.",
    ),
    "identical-across-parts": Check(
        Grade.WARNING,
        "Copies of an image in different parts of the data",
        "The model is tested on what it has seen, and the figures flatter it: put all copies into one part, or keep one.",
    ),
    "overlap-across-parts": Check(
        Grade.WARNING,
        "Overlapping fields in different parts of the data",
        "The model is tested on cells that it has seen, and the figures flatter it: put both images into the same part.",
    ),
    "identical-images": Check(
        Grade.WARNING,
        "Copies of an image",
        "A random split may put them on both sides, and the figures would flatter the model: keep one of them.",
    ),
    "two-classes": Check(
        Grade.WARNING,
        "One box under two classes",
        "Delete the box with the wrong class, unless the two really are one inside the other.",
    ),
    "duplicate-box": Check(Grade.WARNING, "Boxes that are there twice", "Delete one of the two; `--fix` does it."),
    "near-duplicate-box": Check(
        Grade.WARNING,
        "Boxes that nearly coincide",
        "Delete one of the two if they mean the same object. `--fix` does it where one is a shifted copy of the other, as "
        "annotation tools make it when a box is duplicated by a key.",
    ),
    "zero-area": Check(
        Grade.WARNING,
        "Boxes without an area",
        "Draw the box again if there is an object; training leaves it out, and `--fix` removes it.",
    ),
    "outside": Check(
        Grade.WARNING,
        "Boxes outside their image",
        "See whether the annotation belongs to this image, and draw the box again. Training leaves it out.",
    ),
    "missing-image": Check(
        Grade.WARNING,
        "Annotations without their image",
        "Put the image into the folder, or give it the name that the annotation has. Training leaves the annotation out.",
    ),
    "missing-annotation": Check(
        Grade.WARNING,
        "Images without an annotation",
        "Annotate them; if there is nothing to see, save an annotation without objects. Training leaves them out.",
    ),
    "size-differs": Check(
        Grade.WARNING,
        "Annotations that state another size than the image has",
        "All boxes fit into the image all the same; look at some of them. `--fix` writes the image's size.",
    ),
    "one-off-class": Check(
        Grade.WARNING,
        "Classes with a single object",
        "Nothing can be learnt from one object: correct the class if it is a slip, or annotate more.",
    ),
    "unlistable-name": Check(
        Grade.WARNING,
        "Images with names that a list cannot hold",
        "Rename the image and its annotation: `retinaj split` refuses such a name.",
    ),
    "link-outside": Check(
        Grade.WARNING,
        "Links that lead out of the folder",
        "They were followed. Copy the files into the folder before you move or share it, and see that the target is meant.",
    ),
    "not-compared": Check(
        Grade.NOTE, "Images that were not compared with each other", "See the reason given; leakage is not excluded for them."
    ),
    "over-border": Check(
        Grade.NOTE, "Boxes that reach over the border", "Nothing: training cuts them at the border, and `--fix` does too."
    ),
    "depth-differs": Check(
        Grade.NOTE,
        "Annotations that state another number of channels than the image has",
        "Nothing: RetinaJ goes by the image. `--fix` writes the image's number.",
    ),
    "doubtful": Check(Grade.NOTE, "What the reader of the annotations doubts", "See the sentence given."),
    "crowd": Check(Grade.NOTE, "Crowds, which are not single objects", "Nothing: training leaves them out."),
    "no-objects": Check(
        Grade.NOTE,
        "Annotations without objects",
        "Nothing if there is none to see: the image teaches the model what is background.",
    ),
    "no-part": Check(Grade.NOTE, "Images in none of the parts", "Add them to a list if they should be used."),
}


@dataclass(frozen=True)
class Finding:
    """Something that was found, in one place.

    Attributes:
        check: which of CHECKS.
        file: the file to look at: the annotation, the image or the list.
        message: what is wrong, with the values; it reads on from file and place.
        place: where in the file ("object 3", "line 7"), or "".
        image: the image that shows it, if there is one.
        boxes: (x_min, y_min, x_max, y_max) in pixels of that image, of what it is about.
        other_image: the second image, where it is about two.
        other_boxes: the same for that one.
    """

    check: str
    file: Path
    message: str
    place: str = ""
    image: Path | None = None
    boxes: tuple[Corners, ...] = ()
    other_image: Path | None = None
    other_boxes: tuple[Corners, ...] = ()

    @property
    def grade(self) -> Grade:
        """How bad it is."""
        return CHECKS[self.check].grade

    @property
    def where(self) -> str:
        """The file's name, with the image's where it is another one: "b.xml (a.png)"."""
        if self.image is None or self.image == self.file:
            return self.file.name
        return self.image.name if self.image.stem == self.file.stem else f"{self.file.name} ({self.image.name})"

    def __str__(self) -> str:
        return self.said_of(self.where)

    def said_of(self, subject: str) -> str:
        """A sentence about the file, which may be named as it suits the place."""
        if self.place:
            return f"{subject}: {self.place} {self.message}"
        # "a.png is damaged", but "a.xml: the annotation is for 40 x 20 pixels"
        return f"{subject}{' ' if self.message.startswith(_VERBS) else ': '}{self.message}"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then by check, file and as found."""
    rank = {name: at for at, name in enumerate(CHECKS)}
    return sorted(findings, key=lambda each: (rank[each.check], natural_key(each.file.name)))

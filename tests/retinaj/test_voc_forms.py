"""PASCAL VOC as tools other than ours write it: order, missing parts, paths of other systems, flags, links and depth."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from retinaj.annotations import Annotation, Reading, pascal_voc, read_annotations, write_annotations
from retinaj.boxes import Boxes
from retinaj.dataset import load_dataset
from retinaj.errors import RetinaJError

BOX = "<bndbox><ymax>40.5</ymax><xmin>11</xmin><xmax>30</xmax><ymin>21.25</ymin></bndbox>"


def test_elements_in_any_order(tmp_path):
    (tmp_path / "a.xml").write_text(
        f"<annotation><object>{BOX}<difficult>1</difficult><pose/><name>cell</name></object><owner><name>x</name></owner>"
        "<size><depth>1</depth><height>80</height><width>60</width></size><filename>a.png</filename></annotation>"
    )
    (read,) = read_annotations(tmp_path)
    assert read.boxes.xyxy.tolist() == [[10, 20.25, 30, 40.5]]
    assert (read.boxes.names, read.size, read.depth, read.image_name) == (["cell"], (60, 80), 1, "a.png")
    assert read.details[0].difficult


@pytest.mark.parametrize("said", ["1", "true", " Yes\n"])
def test_flags(tmp_path, said):
    flags = "".join(f"<{flag}>{said}</{flag}>" for flag in ("difficult", "truncated", "occluded"))
    unsaid = "<difficult>0</difficult><truncated></truncated>"
    (tmp_path / "a.xml").write_text(
        f"<annotation><object><name>cell</name>{flags}{BOX}</object>"
        f"<object><name>cell</name>{unsaid}{BOX}</object></annotation>"
    )
    (read,) = read_annotations(tmp_path)
    first, second = read.details
    assert (first.difficult, first.truncated, first.occluded) == (True, True, True)
    assert (second.difficult, second.truncated, second.occluded) == (False, False, False)


@pytest.mark.parametrize(
    "names",
    [
        "<filename>C:\\Users\\Kudi\\cells\\a.png</filename>",
        "<filename>cells\\a.png</filename>",
        "<path>D:\\cells\\a.png</path>",
        "<filename></filename><path>/home/someone/a.png</path>",
        "<filename>\n  a.png\n</filename><path>D:\\other\\b.png</path>",
        "",
    ],
)
def test_paths_of_other_systems_still_name_the_image(tmp_path, names):
    for folder in ("images", "xml"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.zeros((80, 60), np.uint8)).save(tmp_path / "images" / "a.png")
    stem = "other" if names else "a"  # by the name in it, or by its own
    (tmp_path / "xml" / f"{stem}.xml").write_text(f"<annotation>{names}<object><name>cell</name>{BOX}</object></annotation>")
    dataset = load_dataset(tmp_path / "images", tmp_path / "xml")
    assert dataset.samples[0].image_path.name == "a.png"
    assert dataset.samples[0].boxes.xyxy.tolist() == [[10, 20.25, 30, 40.5]]


def test_parts_with_boxes_of_their_own_are_no_objects(tmp_path):
    part = f"<part><name>nucleus</name>{BOX.replace('11', '12')}</part>"
    (tmp_path / "a.xml").write_text(f"<annotation><object>{part}<name>cell</name>{part}{BOX}</object></annotation>")
    (read,) = read_annotations(tmp_path)
    assert (read.boxes.names, read.boxes.xyxy.tolist()) == (["cell"], [[10, 20.25, 30, 40.5]])


def test_elements_ten_thousand_deep(tmp_path):
    deep = "<a>" * 10_000 + "</a>" * 10_000
    (tmp_path / "a.xml").write_text(f"<annotation>{deep}<object><name>cell</name>{BOX}{deep}</object></annotation>")
    (read,) = read_annotations(tmp_path)
    assert read.boxes.names == ["cell"]


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path):
    folder = tmp_path / "xml"
    folder.mkdir()
    (tmp_path / "outside.xml").write_text(f"<annotation><object><name>cell</name>{BOX}</object></annotation>")
    (folder / "a.xml").symlink_to(tmp_path / "outside.xml")
    with pytest.raises(RetinaJError, match=r"a\.xml is a link to a file outside .*xml, which RetinaJ does not follow"):
        read_annotations(folder, Reading(format="voc"))
    assert len(read_annotations(folder / "a.xml")) == 1  # the user named it
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    assert len(read_annotations(tmp_path / "linked", Reading(format="voc"))) == 1


def test_two_images_of_one_stem_cannot_both_be_written(tmp_path):
    boxes = Boxes([[0, 0, 1, 1]], [0], ("cell",))
    both = [Annotation(tmp_path / "x.json", name, boxes, (9, 9)) for name in ("a/1.png", "b/1.png")]
    with pytest.raises(RetinaJError, match=r"x\.json: two images of the name '1' cannot both go to 1\.xml; rename one"):
        write_annotations(tmp_path / "out", both, pascal_voc.FORMAT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "", "..", "folder/", "a\0b.png"])
def test_names_that_no_file_can_have_are_refused(tmp_path, name):
    one = Annotation(tmp_path / "x.json", name, Boxes([[0, 0, 1, 1]], [0], ("cell",)), (9, 9))
    with pytest.raises(RetinaJError, match=r"x\.json"):
        write_annotations(tmp_path / "out", [one], pascal_voc.FORMAT)
    assert not list(tmp_path.iterdir())

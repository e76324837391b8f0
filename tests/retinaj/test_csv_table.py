"""Tables of boxes: the many ways in which columns are named and numbers written, and tables that lie."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from retinaj.annotations import (
    Annotation,
    ObjectDetails,
    Reading,
    csv_table,
    find_format,
    read_annotations,
    require_sound,
    write_annotations,
)
from retinaj.boxes import Boxes
from retinaj.dataset import load_dataset
from retinaj.errors import RetinaJError
from retinaj.prediction.outputs import write_csv


def table(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


BOX = [10, 20, 40, 60]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("filename,xmin,ymin,xmax,ymax,class", "a.png,10,20,40,60,cell"),
        ("class,ymax,xmax,ymin,xmin,filename", "cell,60,40,20,10,a.png"),
        ("Image Name;Class Name;X Min;Y Min;X Max;Y Max", "a.png;cell;10;20;40;60"),
        ("image\tlabel\tx1\ty1\tx2\ty2", "a.png\tcell\t10\t20\t40\t60"),
        ("image_path,category,left,top,right,bottom", "a.png,cell,10,20,40,60"),
        ("image,x,y,width,height,label", "a.png,10,20,30,40,cell"),
        ("img,x,y,w,h,type", "a.png,10,20,30,40,cell"),
        ("file,left,top,width,height,species", "a.png,10,20,30,40,cell"),
        ("image,x_center,y_center,width,height,name", "a.png,25,40,30,40,cell"),
        ("image,bbox-0,bbox-1,bbox-2,bbox-3,class", "a.png,20,10,60,40,cell"),  # scikit-image: rows first
        (
            "FileName,AreaShape_BoundingBoxMinimum_X,AreaShape_BoundingBoxMinimum_Y,AreaShape_BoundingBoxMaximum_X,"
            "AreaShape_BoundingBoxMaximum_Y,class",
            "a.png,10,20,40,60,cell",
        ),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "a.png,200,100,cell,10,20,40,60"),  # TF Object Detection API
        ("image,x_min (px),y_min (px),x_max (px),y_max (px),class", "a.png,10,20,40,60,cell"),
        ('"image","xmin","ymin","xmax","ymax","class"', '"a.png","10","20","40","60","cell"'),
    ],
)
def test_columns_are_found_by_their_usual_names(tmp_path, header, row):
    path = table(tmp_path / "a.csv", header, row)
    assert find_format(path) is csv_table.FORMAT
    (read,) = read_annotations(path)
    assert (read.boxes.names, read.boxes.xyxy.tolist()) == (["cell"], [BOX])
    assert (read.image_name, read.stem, read.faults, read.notes) == ("a.png", None, (), ())
    assert read.size == ((200, 100) if "filename,width" in header else None)


def test_columns_can_be_told(tmp_path):
    path = table(tmp_path / "a.csv", "scan,what is it,from left,from top,wide,tall,class", "a.png,cell,10,20,30,40,x")
    told = {
        "image": "scan",
        "label": "what is it",
        "x_min": "from left",
        "y_min": "from top",
        "width": "wide",
        "height": "tall",
    }
    (read,) = read_annotations(path, Reading(format="csv", columns=told))
    assert (read.image_name, read.boxes.names, read.boxes.xyxy.tolist()) == ("a.png", ["cell"], [BOX])
    for wrong, reason in [
        ({"klass": "class"}, "--columns has 'klass'; expected one of image, x_min"),
        ({"label": "Class"}, "has no column 'Class', but 'scan', 'what is it'"),
        ({"units": "mm"}, "units='mm'; expected pixels or shares"),
        ({"x_min": "from left"}, "expected x_min, y_min, x_max, y_max, or x, y, width, height"),
    ]:
        with pytest.raises(RetinaJError) as caught:
            read_annotations(path, Reading(format="csv", columns=wrong))
        assert reason in str(caught.value)


def test_keras_retinanets_table_has_no_names(tmp_path):
    path = table(tmp_path / "a.csv", "/data/a.png,10,20,40,60,cell", "/data/b.png,,,,,", "/data/a.png,1,2,3,4,debris")
    assert find_format(path) is csv_table.FORMAT
    a, b = read_annotations(path)
    assert (a.image_name, a.boxes.names, a.places) == ("/data/a.png", ["cell", "debris"], ("line 1", "line 3"))
    assert (b.image_name, len(b.boxes), b.faults) == ("/data/b.png", 0, ())


def test_imagejs_results(tmp_path):
    path = table(
        tmp_path / "Results.csv",
        " ,Label,Area,X,Y,BX,BY,Width,Height,Slice",
        "1,a.tif:0001-0024:Slice 3,12,25.5,40,10,20,30,40,3",
        "2,b.tif,12,25,40,10.5,20,30,40,1",
        "3,Mean,12,25,40,10,20,30,40,2",
        "4,SD,0,0,0,0,0,0,0,0",
    )
    a, b = read_annotations(path)
    assert (a.image_name, b.image_name) == ("a.tif", "b.tif")
    assert (a.boxes.xyxy.tolist(), a.boxes.names, a.boxes.plane.tolist()) == ([BOX], ["object"], [[0, 0, 2]])
    notes = " ".join(a.notes)
    for piece in ("has no column of classes", "2 rows with ImageJ's Mean", "unit of the image's scale"):
        assert piece in notes


def test_the_list_of_imagejs_roi_manager(tmp_path):
    path = table(
        tmp_path / "cells.csv",
        "Index,Name,Type,Group,X,Y,Width,Height,Points,Color,Fill,LWidth,Pos,C,Z,T",
        "0,RBC 0.97,Rectangle,0,10,20,30,40,4,yellow,none,0,0,0,3,0",
        "1,0001-0024,Oval,0,1,2,3,4,4,yellow,none,0,0,0,0,0",
    )
    (read,) = read_annotations(path)
    assert (read.boxes.names, read.stem, read.image_name) == (["RBC", "object"], "cells", "")
    assert read.boxes.xyxy.tolist() == [BOX, [1, 2, 4, 6]]
    assert read.boxes.plane.tolist() == [[0, 0, 2], [0, 0, 0]]


@pytest.mark.parametrize("stack", [False, True])
def test_the_tables_of_retinaj_predict_are_read(tmp_path, stack):
    boxes = Boxes([[0.1, 0.2, 0.5, 0.7], [1, 2, 3.3, 4]], [1, 0], ("RBC", "a, b"), [0.5, 0.973])
    boxes = boxes.on_plane(2, 0, 1) if stack else boxes
    write_csv(tmp_path / "cells.csv", boxes)
    table(tmp_path / "counts.csv", "image,RBC,WBC", "cells.png,1,1")
    assert find_format(tmp_path) is csv_table.FORMAT
    (read,) = read_annotations(tmp_path)
    assert (read.stem, read.boxes.names) == ("cells", boxes.names)
    np.testing.assert_array_equal(read.boxes.xyxy, boxes.xyxy)
    np.testing.assert_array_equal(read.boxes.score, boxes.score)
    assert (read.boxes.plane is None) == (not stack)
    if stack:
        assert read.boxes.plane.tolist() == [[2, 0, 1]] * 2


def test_shares_of_the_images_size(tmp_path):
    Image.fromarray(np.zeros((100, 200), np.uint8)).save(tmp_path / "a.png")
    lines = ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded", "a,x,cell,1,0.05,0.2,0.2,0.6,1")
    path = table(tmp_path / "a.csv", *lines)
    with pytest.raises(RetinaJError, match=r"its coordinates are shares of the images' sizes; name their folder with --images"):
        read_annotations(path)
    (read,) = read_annotations(path, Reading(images=tmp_path))
    np.testing.assert_allclose(read.boxes.xyxy, [BOX], atol=1e-5)
    assert (read.size, read.stem, read.details[0].occluded) == ((200, 100), "a", True)
    assert len(load_dataset(tmp_path, path)) == 1
    pixels = read_annotations(path, Reading(columns={"units": "pixels"}))
    np.testing.assert_allclose(pixels[0].boxes.xyxy, [[0.05, 0.2, 0.2, 0.6]])
    table(path, "image,image_width,image_height,x1,y1,x2,y2,class", "b.png,200,100,0.05,.2,0.2,.6,cell")
    np.testing.assert_allclose(read_annotations(path)[0].boxes.xyxy, [BOX], atol=1e-5)
    table(path, "image,x1,y1,x2,y2,class", "a.png,0.05,.2,0.2,.6,cell", "b.png,0.05,.2,0.2,.6,cell")
    a, b = read_annotations(path, Reading(images=tmp_path))
    assert (len(a.boxes), a.faults) == (1, ())
    assert "line 3: its image 'b.png' is not in" in b.faults[0]
    table(path, "image,x1,y1,x2,y2,class", "a.png,0,0,1,1,cell")  # whole numbers: one pixel
    assert read_annotations(path)[0].boxes.xyxy.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas(tmp_path, separator):
    path = tmp_path / "a.csv"
    table(
        path,
        "image;xmin;ymin;xmax;ymax;class;score".replace(";", separator),
        "a;10,5;20;40,25;60;cell;0,5".replace(";", separator),
    )
    (read,) = read_annotations(path)
    assert read.boxes.xyxy.tolist() == [[10.5, 20, 40.25, 60]]
    assert read.boxes.score.tolist() == [0.5]


def test_excels_first_line_and_other_encodings(tmp_path):
    path = tmp_path / "a.csv"
    lines = ("sep=;\r\n", "image;x1;y1;x2;y2;class;Größe\r\n", "ä.png;10;20;40;60;µ;1\r\n")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        for text, place in (("".join(lines), "line 3"), ("".join(lines[1:]), "line 2")):
            path.write_bytes(text.encode(encoding))
            assert find_format(path) is csv_table.FORMAT
            (read,) = read_annotations(path)
            assert (read.image_name, read.boxes.names, read.places) == ("ä.png", ["µ"], (place,))


def test_positions_in_a_stack_count_from_one_unless_there_is_a_zero(tmp_path):
    header = "image,x1,y1,x2,y2,class,frame,slice"
    path = table(tmp_path / "a.csv", header, "a,1,2,3,4,cell,1,0", "a,1,2,3,4,cell,2,5", "b,1,2,3,4,cell,,")
    a, b = read_annotations(path)
    assert a.boxes.plane.tolist() == [[0, 0, 0], [1, 0, 5]]
    assert b.boxes.plane is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.png,10,20,40", "line 3: y_max is ''"),
        ("a.png,10,20,forty,60,cell,", "line 3: x_max is 'forty'; expected a number"),
        ("a.png,10,20,nan,60,cell,", "line 3: x_max is 'nan'"),
        ("a.png,10,20,1e300,60,cell,", "line 3: x_max is '1e300'"),
        ("a.png,10,20,40,60,,", "line 3 has no class"),
        ("a.png,,,,,cell,", "line 3: x_min is ''"),
        (",10,20,40,60,cell,", "line 3 names no image"),
        ("a\x07.png,10,20,40,60,cell,", "line 3: the image: the name"),
        ("a.png,10,20,40,60,ce\x07ll,", "line 3: the name"),
        ("a.png,10,20,40,60,cell,97", "line 3: the score is '97'"),
    ],
)
def test_a_broken_row_is_a_fault_and_hides_no_other(tmp_path, row, reason):
    good = "a.png,10,20,40,60,cell,"
    path = table(tmp_path / "a.csv", "image,x_min,y_min,x_max,y_max,class,score", good, row, good)
    (read,) = read_annotations(path)
    assert read.places == ("line 2", "line 4")
    assert len(read.faults) == 1
    assert read.faults[0].startswith(reason)
    with pytest.raises(RetinaJError, match=r"a\.csv: line 3"):
        require_sound(read)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; expected a table of boxes"),
        (b"one,two\n1,2\n", "has the columns 'one', 'two'; expected x_min"),
        (b"image,x1,x1,y1,x2,y2,class\n", "two columns 'x1'"),
        ("image,BX (µm),BY (µm),Width (µm),Height (µm)\n".encode(), "'BX (µm)' is in 'µm'; expected pixels"),
        (b'image,x1,y1,x2,y2,class\n"a,1,2,3,4,cell\n' + b"x" * 200_000, "quotation mark"),
        (b"\0\x01\x02" * 1000, "has the columns"),
        (b"image,x1,y1,x2,y2,class\n" + b"a,1,2,3,x,cell\n" * 2000, "more than 1,000 objects that cannot be read"),
    ],
)
def test_files_that_are_no_tables_of_boxes(tmp_path, content, reason):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(RetinaJError, match=r"a\.csv") as caught:
        read_annotations(tmp_path / "a.csv")
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_tables_of_absurd_size_are_not_read(tmp_path, monkeypatch):
    path = table(tmp_path / "a.csv", "image,x1,y1,x2,y2,class", *(f"{at},1,2,3,4,cell" for at in range(2000)))
    monkeypatch.setattr("retinaj.annotations.csv_reading.MAX_IMAGES", 1000)
    with pytest.raises(RetinaJError, match="more than 1,000 images"):
        read_annotations(path)
    monkeypatch.setattr("retinaj.annotations.csv_reading.MAX_FILE_BYTES", 2**14)
    with pytest.raises(RetinaJError, match=r"larger than 0 MB"):
        read_annotations(path)


def test_a_folder_of_tables_with_other_text_between(tmp_path):
    table(tmp_path / "a.csv", "x1,y1,x2,y2,class", "1,2,3,4,cell")
    table(tmp_path / "b.txt", "x1\ty1\tx2\ty2\tclass", "1\t2\t3\t4\tcell")
    table(tmp_path / "c.tsv", "x1\ty1\tx2\ty2\tclass")
    table(tmp_path / "notes.txt", "measured on Monday")
    assert find_format(tmp_path) is csv_table.FORMAT
    assert [(each.stem, len(each.boxes)) for each in read_annotations(tmp_path)] == [("a", 1), ("b", 1), ("c", 0)]


def test_columns_are_written_only_where_needed_and_read_back(tmp_path):
    plain = Annotation(tmp_path / "x", "a.png", Boxes([[0, 0, 0.5, 1]], [0], ("cell",)))
    write_annotations(tmp_path / "plain.csv", [plain], csv_table.FORMAT)
    assert (tmp_path / "plain.csv").read_text() == "image,x_min,y_min,x_max,y_max,class\na.png,0.0,0.0,0.5,1.0,cell\n"
    assert read_annotations(tmp_path / "plain.csv")[0].boxes.xyxy.tolist() == [[0, 0, 0.5, 1]]  # pixels, not shares
    boxes = Boxes([[1e-5, 0, 1, 1], [1, 2, 3, 1e8]], [0, 0], ('a "b", c',), [0.25, 0.5]).on_plane(0, 1, 2)
    details = (ObjectDetails(crowd=True, name="first", group=3, colour=(1, 2, 255)), ObjectDetails())
    full = Annotation(tmp_path / "x", "ä.png", boxes, (5, 6), details=details)
    empty = Annotation(tmp_path / "x", "e.png", Boxes.empty(()), (7, 8))
    write_annotations(tmp_path / "full.csv", [full, empty, plain], csv_table.FORMAT)
    read = read_annotations(tmp_path / "full.csv")
    assert [(each.image_name, each.size) for each in read] == [("ä.png", (5, 6)), ("e.png", (7, 8)), ("a.png", None)]
    np.testing.assert_array_equal(read[0].boxes.xyxy, boxes.xyxy)
    assert (read[0].boxes.names, read[0].details) == (boxes.names, details)
    assert (read[0].boxes.score.tolist(), read[0].boxes.plane.tolist()) == ([0.25, 0.5], [[0, 1, 2]] * 2)
    assert (len(read[1].boxes), read[2].boxes.score, read[2].boxes.plane, read[2].details) == (0, None, None, ())
    nameless = Annotation(tmp_path / "x", "", plain.boxes)
    with pytest.raises(RetinaJError, match="names no image"):
        write_annotations(tmp_path / "nameless.csv", [nameless], csv_table.FORMAT)

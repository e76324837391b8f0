"""Images that are searched in tiles: the same objects as in one pass, wherever they lie, and bounded memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tiny_models import assert_same_boxes, noise_pixels, tiny_record
from typer.testing import CliRunner

from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes
from retinaj.cli import app
from retinaj.errors import RetinaJError
from retinaj.evaluation.run import evaluate
from retinaj.model_folder import ModelRecord
from retinaj.network.config import AnchorConfig, NetworkConfig
from retinaj.normalization import PercentileScale
from retinaj.prediction.batch import predict
from retinaj.prediction.detector import Detector
from retinaj.prediction.tile_grid import Grid
from retinaj.prediction.tile_merging import merge_tiles
from retinaj.prediction.tiles import find_objects
from retinaj.prediction.tiling import Tiling, parse_tiles
from retinaj.streamed_percentiles import percentiles_of_blocks

CLASSES = ("dim", "bright")
# The largest anchor has sides of 32 pixels, so that objects of up to 45 are looked for.
ANCHORS = AnchorConfig(min_level=2, max_level=2, base=8.0, scales=(1.0,))
LARGEST, SIDE, MOST = 45, 384, 400


class Patches:
    """A `Runtime` that finds each patch of bright pixels; its class and its score are in its pixels."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        values = (batch[0, ..., 0] + 2) * 64  # undoes FixedScale
        bright = values > 100
        lines = np.flatnonzero(bright.any(axis=1))
        if not len(lines):
            return np.zeros((1, self.most, 6), np.float32)
        first = int(lines[0])
        patches, _ = ndimage.label(bright[first : int(lines[-1]) + 1])
        rows: list[tuple[float, ...]] = []
        for y, x in ndimage.find_objects(patches):
            top, bottom = y.start + first, y.stop + first
            value = float(values[top:bottom, x].max())
            rows.append((x.start, top, x.stop, bottom, 0.3 + value / 400, 1 + (value > 150)))
        rows = sorted(rows, key=lambda row: -row[4])[: self.most]
        return np.array([rows + [(0,) * 6] * (self.most - len(rows))], np.float32)


def patch_detector() -> Detector:
    record = tiny_record(1, "uint8")
    network = NetworkConfig(channels=1, num_classes=2, fill=(0.0,), anchors=ANCHORS, max_detections=MOST, max_candidates=MOST)
    record = ModelRecord.model_validate(record.model_dump() | {"network": network.model_dump(), "class_names": CLASSES})
    return Detector.of(record, Patches())


def draw_patches(height: int, width: int, places: list[tuple[float, float, int, int, int]]) -> xr.DataArray:
    """Patches at shares of the height and the width, none of which touches another."""
    image = np.zeros((height, width), np.uint8)
    for share_y, share_x, tall, wide, value in places:
        top, left = round(share_y * (height - tall)), round(share_x * (width - wide))
        if not image[max(top - 1, 0) : top + tall + 1, max(left - 1, 0) : left + wide + 1].any():
            image[top : top + tall, left : left + wide] = value
    return xr.DataArray(image, dims=("y", "x"))


def rows(boxes: Boxes) -> list[list[float]]:
    assert boxes.score is not None
    return sorted(np.column_stack([boxes.xyxy, boxes.label, boxes.score]).tolist())


patches = st.tuples(st.floats(0, 1), st.floats(0, 1), *(st.integers(2, LARGEST),) * 2, st.integers(101, 255))


class TestMerging:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 1100), st.integers(1, 1100), st.lists(patches, max_size=60))
    def test_every_object_is_found_once_wherever_it_lies(self, height, width, places):
        height, width = max(height, LARGEST), max(width, LARGEST)
        # Also on the corners of the image, and across borders of tiles.
        places += [(0, 0, 9, 9, 120), (1, 1, 9, 9, 255), (0, 1, 9, 9, 120), (1, 0, 9, 9, 255)]
        image, detector = draw_patches(height, width, places), patch_detector()
        once, tiled = (find_objects(detector, image, tiles=tiles) for tiles in ("none", SIDE))
        assert rows(once.boxes) == rows(tiled.boxes)
        assert (once.tiles, once.limit, tiled.limit) == (1, 0, 0)
        assert (tiled.tiles > 1) == (max(height, width) > SIDE)

    def test_an_object_larger_than_the_overlap_is_found_once(self):
        image = draw_patches(900, 1000, [(0.5, 0.5, 260, 330, 200), (0.9, 0.9, 20, 20, 120)])
        once, tiled = (find_objects(patch_detector(), image, tiles=tiles) for tiles in ("none", SIDE))
        assert len(once.boxes) == 2
        assert rows(tiled.boxes) == rows(once.boxes)  # put together from its parts

    def test_tiles_lose_nothing_to_the_most_boxes_of_a_pass(self):
        image = crowd()
        once, tiled = (find_objects(patch_detector(), image, tiles=tiles) for tiles in ("none", SIDE))
        assert (len(once.boxes), once.is_full(0.4)) == (MOST, True)
        assert 3 * MOST < len(tiled.boxes) < 4 * MOST
        assert tiled.is_full(0.4)
        assert not tiled.is_full(0.99)
        sparse = draw_patches(600, 600, [(0.5, 0.5, 9, 9, 200)])
        assert not find_objects(patch_detector(), sparse, tiles=SIDE).is_full(0.4)

    def test_a_part_gives_way_to_the_whole_however_sure_it_is(self):
        grid = Grid.of(100, 200, side=120, overlap=40, margin=1, multiple=10)
        assert [(tile.left, tile.right) for tile in grid.tiles] == [(0, 120), (80, 200)]
        part = Boxes([[100, 10, 120, 30]], [0], ("a",), [0.99])
        whole = Boxes([[100, 10, 130, 30]], [0], ("a",), [0.5])
        assert rows(merge_tiles(grid, [part, whole], 0.5)) == rows(whole)
        assert rows(merge_tiles(grid, [part, whole.select([])], 0.5)) == []  # the other tile saw more of it, and no object

    def test_classes_do_not_suppress_each_other(self):
        grid = Grid.of(100, 200, side=120, overlap=40, margin=1, multiple=10)
        one, other = (Boxes([[90, 10, 110, 30]], [label], ("a", "b"), [0.5]) for label in (0, 1))
        assert len(merge_tiles(grid, [one, other], 0.5)) == 2
        assert len(merge_tiles(grid, [one, one], 0.5)) == 1


class TestTiling:
    def test_an_image_that_fits_is_searched_as_ever(self):
        detector, image = patch_detector(), draw_patches(500, 600, [(0.5, 0.5, 9, 9, 200)])
        found = find_objects(detector, image)
        assert found.tiles == 1
        assert rows(found.boxes) == rows(detector.detect(image))

    @pytest.mark.parametrize("tiles", ["auto", 4096])
    def test_tiles_are_no_longer_than_asked_for(self, tiles):
        tiling = Tiling.of(tiny_record(1, "uint8"))
        grid = tiling.cut(20_000, 30_000, tiles)
        assert all((tile.bottom - tile.top) * (tile.right - tile.left) <= tiling.pass_pixels for tile in grid.tiles)
        if tiles != "auto":
            assert max(tile.right - tile.left for tile in grid.tiles) <= tiles
        assert {tile.left % tiling.multiple for tile in grid.tiles} == {0}

    @settings(max_examples=50, deadline=None)
    @given(st.integers(1, 9000), st.integers(1, 60), st.integers(0, 40), st.sampled_from([8, 32, 128]))
    def test_any_object_lies_whole_in_a_tile(self, length, sides, margins, multiple):
        margin, overlap = margins, 2 * margins + multiple
        side = multiple * sides + 2 * -(-overlap // multiple) * multiple
        grid = Grid.of(length, 10, side=side, overlap=overlap, margin=margin, multiple=multiple)
        assert max(tile.bottom - tile.top for tile in grid.tiles) <= side
        top = np.arange(0, max(length - multiple, 0) + 1, dtype=np.float32)
        boxes = np.stack([top * 0, top, top * 0 + 10, np.minimum(top + multiple, length)], axis=1)
        assert np.any([grid.holds(tile, boxes) for tile in grid.tiles], axis=0).all()

    def test_tiles_too_small_for_the_model_are_refused(self):
        with pytest.raises(RetinaJError, match=r"tiles is 383, too little .* Expected 384 or more"):
            find_objects(patch_detector(), draw_patches(500, 600, []), tiles=383)
        with pytest.raises(RetinaJError, match="tiles is 100"):
            find_objects(replace(patch_detector(), record=None), draw_patches(500, 600, []), tiles=100)

    @pytest.mark.parametrize("value", ["", "0", "-5", "1.5", "automatic", "9" * 12])
    def test_what_is_no_choice_of_tiles_is_refused(self, value):
        with pytest.raises(RetinaJError, match="tiles is"):
            parse_tiles(value)

    def test_planes_and_progress(self):
        image = xr.concat([draw_patches(500, 600, [(0.5, 0.5, 9, 9, value)]) for value in (0, 200)], "z")
        told: list[tuple[int, int]] = []
        found = find_objects(patch_detector(), image.transpose("z", "y", "x"), tiles=SIDE, progress=lambda *at: told.append(at))
        assert found.boxes.plane is not None
        assert found.boxes.plane.tolist() == [[0, 0, 1]]
        assert told == [(done, 2 * found.tiles) for done in range(2 * found.tiles + 1)]

    def test_an_exception_from_progress_cancels(self):
        def cancel(done: int, total: int) -> None:
            if done == 2:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            find_objects(patch_detector(), draw_patches(900, 900, []), tiles=SIDE, progress=cancel)

    def test_the_image_is_not_eight_bit_and_says_so(self):
        image = draw_patches(900, 900, [(0.9, 0.9, 9, 9, 200)]).astype(np.uint16) * 10
        with pytest.raises(RetinaJError, match="trained on 8-bit images"):
            find_objects(patch_detector(), image, tiles=SIDE)


@pytest.fixture(scope="module")
def real_model() -> Detector:
    """A network of random weights that sees no further than the margin of tiles, so that tiles and one pass agree exactly."""
    import keras

    from retinaj.network.retinanet import build_network
    from retinaj.prediction.keras_runtime import KerasRuntime

    record = tiny_record(2, "uint16")
    anchors = AnchorConfig(min_level=3, max_level=3, base=1.0, scales=(1.0,))  # do not overlap: no chains to suppress
    changes = {"norm": "batch", "downsampling": 2, "anchors": anchors, "score_floor": 0.4}
    network = NetworkConfig(**(record.network.model_dump() | changes | {"max_detections": 2000, "max_candidates": 2000}))
    record = record.model_copy(update={"network": network})
    keras.utils.set_random_seed(0)
    built = build_network(network)
    random = np.random.default_rng(0)
    for variable in built.variables:
        if "class_head" in variable.path and "kernel" in variable.path:
            variable.assign(random.normal(0, 0.2, variable.shape))
        elif "box_head" in variable.path and "kernel" in variable.path:
            variable.assign(random.normal(0, 0.1, variable.shape))
        elif any(name in variable.path for name in ("lateral4", "lateral5")):
            variable.assign(np.zeros(variable.shape))
    return Detector.of(record, KerasRuntime(built, network))


def test_tiles_and_one_pass_of_a_real_network_agree(real_model):
    """Sixteen bits, two channels, averaged down: percentiles of the whole image, and tiles on the network's own grid."""
    pixels = noise_pixels(959, 901, 2, "uint16")
    pixels[:500] //= 4  # percentiles of a tile would be others
    image = xr.DataArray(np.moveaxis(pixels, -1, 0), dims=("c", "y", "x"))
    once, tiled = (find_objects(real_model, image, tiles=tiles, threshold=0.4) for tiles in ("none", 640))
    assert tiled.tiles == 4
    assert 50 < len(once.boxes) < 2000
    assert_same_boxes(tiled.boxes, once.boxes)
    chunked = image.chunk({"y": 300, "x": 250})
    np.testing.assert_array_equal(find_objects(real_model, chunked, tiles=640, threshold=0.4).boxes.xyxy, tiled.boxes.xyxy)


class TestPercentiles:
    @settings(max_examples=40, deadline=None)
    @given(
        st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]),
        st.integers(0, 2**32 - 1),
        st.lists(st.floats(0, 100), min_size=1, max_size=3),
    )
    def test_in_blocks_they_are_those_of_the_whole(self, dtype, seed, shares):
        random = np.random.default_rng(seed)
        pixels = random.normal(0, 10 ** random.uniform(-6, 4), (random.integers(1, 40), random.integers(1, 40), 2))
        pixels = (pixels if "float" in dtype else np.abs(pixels) * 1000 % 255).astype(dtype)
        if "float" in dtype:
            pixels[random.random(pixels.shape) < 0.1] = np.nan
            pixels[0, 0] = 0
        found = percentiles_of_blocks(lambda: (pixels[at : at + 7] for at in range(0, len(pixels), 7)), shares)
        expected = np.nanpercentile(pixels.astype(np.float32).astype(np.float64), shares, axis=(0, 1))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)

    def test_parts_are_normalised_as_parts_of_the_whole(self):
        pixels, scale = noise_pixels(60, 50, 3, "uint16"), PercentileScale()
        limits = np.nanpercentile(pixels.astype(np.float32), [scale.low, scale.high], axis=(0, 1)).astype(np.float32)
        np.testing.assert_array_equal(scale.between(pixels[20:], limits), scale(pixels)[20:])

    def test_a_channel_without_a_number(self):
        assert np.isnan(percentiles_of_blocks(lambda: [np.full((2, 2, 1), np.nan)], (50,))).all()


def crowd() -> xr.DataArray:
    """40 x 40 objects, four times as many as a pass can give, and more than a tile can."""
    grid = np.zeros((640, 640), np.uint8)
    grid[4::16, 4::16] = 250
    return xr.DataArray(ndimage.maximum_filter(grid, 5), dims=("y", "x"))


class TestCommands:
    def test_predict_finds_more_than_a_pass_can_give(self, tmp_path):
        Image.fromarray(crowd().to_numpy()).save(tmp_path / "a.png")
        told: list[tuple[int, int]] = []
        counted: dict[str | int, int] = {}
        for tiles in ("auto", SIDE):
            options = {"tiles": tiles, "threshold": 0.9, "progress": lambda *at: told.append(at)}
            [outcome] = predict(tmp_path / "a.png", patch_detector(), tmp_path / f"{tiles}", **options)
            counted[tiles] = sum(outcome.counts.values())
            assert outcome.full
            [again] = predict(tmp_path / "a.png", patch_detector(), tmp_path / f"{tiles}", **options)
            assert (again.skipped, again.full, again.counts) == (True, True, outcome.counts)
        assert counted["auto"] == MOST < 3 * MOST < counted[SIDE]
        assert (0, 1) in told
        assert (9, 9) in told
        with pytest.raises(RetinaJError, match="tiles was 'auto' and is 384 now"):
            predict(tmp_path / "a.png", patch_detector(), tmp_path / "auto", tiles=SIDE, threshold=0.9)

    def test_evaluate_counts_all_that_tiles_found(self, tmp_path, monkeypatch):
        monkeypatch.setattr("retinaj.report.write_report", lambda path, **content: None)
        (tmp_path / "images").mkdir()
        (tmp_path / "annotations").mkdir()
        Image.fromarray(crowd().to_numpy()).save(tmp_path / "images" / "a.png")
        truth = replace(find_objects(replace(patch_detector(), runtime=Patches(5000)), crowd(), tiles="none").boxes, score=None)
        pascal_voc.write(tmp_path / "annotations" / "a.xml", truth, image_name="a.png", size=(640, 640), channels=1)
        results = [
            evaluate(tmp_path / "images", tmp_path / "annotations", detector, tmp_path / f"{tiles}", tiles=tiles)
            for tiles, detector in (
                ("none", patch_detector()),
                (384, replace(patch_detector(), max_detections=600, runtime=Patches(600))),
            )
        ]
        assert len(truth) == 40 * 40
        assert [each.result.overall.true_positives for each in results] == [MOST, len(truth)]
        assert [len(each.warnings) for each in results] == [2, 0]

    def test_the_command_line_says_what_tiles_can_be(self, tmp_path):
        result = CliRunner().invoke(
            app, ["predict", "a.png", "--model", "m", "--output", str(tmp_path / "o"), "--tiles", "many"]
        )
        assert result.exit_code == 1
        assert "tiles is 'many'; expected auto, none, or the longest side" in " ".join(result.output.split())


LARGE = """
import resource, sys
import numpy as np
sys.path += sys.argv[2:]
from test_tiles import patch_detector
from retinaj.images import open_image
from retinaj.prediction.tiles import find_objects
detector, image = patch_detector(), open_image(sys.argv[1], lazy_above=0)
find_objects(detector, image.isel(y=slice(0, 50), x=slice(0, 50)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = []
found = find_objects(detector, image, tiles=4096, progress=lambda done, total: told.append((done, total)))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown // 1024, len(found.boxes), len(told) - 1, told[-1], *found.boxes.xyxy.astype(int).ravel())
"""


def test_an_image_of_twenty_thousand_pixels_a_side_is_searched_in_little_memory(tmp_path):
    import tifffile

    path = tmp_path / "slide.tif"
    pixels = tifffile.memmap(path, shape=(20_000, 20_000), dtype=np.uint8)
    corners = [(0, 0), (0, 19_980), (19_980, 0), (19_980, 19_980), (3900, 3950), (10_000, 7777)]
    for top, left in corners:
        pixels[top : top + 20, left : left + 20] = 200
    pixels.flush()
    del pixels
    here = Path(__file__).parent
    command = [sys.executable, "-c", LARGE, str(path), str(here), str(here.parent / "helpers")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    grown, boxes, told, last, *xyxy = done.stdout.replace(", ", ",").split()
    assert int(grown) < 1000  # megabytes; the image as float32, and no more, would be 1,526
    assert (int(boxes), last) == (len(corners), f"({told},{told})")
    found = np.array(xyxy, int).reshape(-1, 4)
    assert sorted(map(tuple, found[:, 1::-1].tolist())) == sorted(corners)

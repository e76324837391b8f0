"""A stack of two gigabytes: described, and detected on plane by plane, without loading it whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from retinaj.errors import RetinaJError
from retinaj.images import LAZY_ABOVE, open_image, read_header, sample_range
from retinaj.images.lazy_pixels import LazyPixels
from retinaj.images.plane_choice import PlaneChoice

SHAPE = (1000, 1024, 1024)
PLANE_BYTES = 2 * 1024 * 1024


@pytest.fixture(scope="module", params=["imagej", "zarr"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 GB of zeros with one bright pixel in the middle slice; next to nothing on the disk."""
    folder = tmp_path_factory.mktemp("large")
    if request.param == "imagej":
        metadata = {"axes": "ZYX", "unit": "um", "spacing": 2}
        pixels = tifffile.memmap(
            folder / "a.tif", shape=SHAPE, dtype=np.uint16, imagej=True, metadata=metadata, resolution=(2, 2)
        )
        pixels[500, 3, 4] = 7777
        pixels.flush()
        return folder / "a.tif"
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=3)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [2, 0.5, 0.5]}]
    multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs.update({"ome": {"version": "0.5", "multiscales": [multiscale]}})
    group.create_array("0", shape=SHAPE, dtype=np.uint16, chunks=(1, 1024, 1024))[500, 3, 4] = 7777
    return folder / "a.zarr"


@contextmanager
def at_most(megabytes: int) -> Generator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        tracemalloc.stop()


def test_is_described_from_a_few_planes(large):
    with at_most(60):
        header = read_header(large)
        assert dict(header.sizes) == {"z": 1000, "y": 1024, "x": 1024}
        assert header.nbytes > LAZY_ABOVE
        assert header.dtype == np.uint16
        assert (header.attrs["physical_size"]["x"], header.attrs["physical_size"]["z"]) == (0.5, 2)
        assert sample_range(open_image(large)) == (0, 7777)


def test_planes_are_read_one_by_one(large):
    with at_most(60):
        found = PlaneChoice(z="mid").read(large, (0, 500))
    assert (found.shape, int(found[3, 4]), int(found.sum())) == ((1024, 1024), 7777, 7777)


def test_a_large_plane_is_read_in_parts(tmp_path):
    path = tmp_path / "a.tif"
    pixels = tifffile.memmap(path, shape=(20_000, 40_000), dtype=np.uint8)
    pixels[19_999, 39_999] = 9
    pixels.flush()
    image = open_image(path)
    with at_most(150):
        assert int(image[19_990:, 39_990:].max()) == 9


def test_more_parts_than_can_be_planned_are_refused():
    pixels = LazyPixels(Path("a.tif"), (2_000_000, 8, 8), np.dtype(np.uint8), lambda index: np.zeros(8))
    with pytest.raises(RetinaJError, match=r"a\.tif says .* 2000000 x 8 x 8, in 2,000,000 parts"):
        pixels.to_dask((1, 8, 8))

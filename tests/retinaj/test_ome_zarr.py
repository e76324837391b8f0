"""OME-Zarr: both versions, whole and lazily, and folders that lie."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import zarr
from zarr_files import noise, write_ome_zarr

from retinaj.errors import RetinaJError
from retinaj.images import find_images, open_image, read_header, read_image, sample_range

STACK = noise(3, 2, 4, 40, 30)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_full_resolution_with_axes_sizes_and_channel_names(tmp_path, version):
    path = write_ome_zarr(tmp_path / "a.ome.zarr", STACK, "tczyx", version=version, channel_names=("DAPI", "GFP"))
    image, header, lazy = read_image(path), read_header(path), open_image(path, lazy_above=0)
    assert image.dims == ("t", "c", "z", "y", "x")
    np.testing.assert_array_equal(image, STACK)
    np.testing.assert_array_equal(lazy.isel(t=2, z=1), STACK[2, :, 1])
    assert image.attrs["channel_names"] == ("DAPI", "GFP")
    assert image.attrs["physical_size"] == {"unit": "µm", "z": 1.0, "y": 0.5, "x": 0.5}
    assert (dict(header.sizes), header.dtype, header.attrs) == (dict(image.sizes), image.dtype, image.attrs)
    assert header.series == ("cells",)
    assert sample_range(lazy) == (STACK[[0, 1, 2]][:, :, [0, 2, 3]].min(), STACK[:, :, [0, 2, 3]].max())


@pytest.mark.parametrize("compressor", ["blosc", "zstd", "gzip"])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float32"])
def test_codecs_and_pixel_types(tmp_path, compressor, dtype):
    codec = {"blosc": zarr.codecs.BloscCodec(), "zstd": zarr.codecs.ZstdCodec(), "gzip": zarr.codecs.GzipCodec()}[compressor]
    pixels = noise(40, 30).astype(dtype)
    path = write_ome_zarr(tmp_path / "a.zarr", pixels, "yx", compressors=[codec])
    image = read_image(path)
    assert image.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(image, pixels)


def test_shards_and_axes_of_one(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", STACK[:1, :, :1], "tczyx", chunks=(1, 1, 1, 5, 5), shards=(1, 2, 1, 20, 15))
    image = read_image(path)
    assert image.dims == ("c", "y", "x")
    np.testing.assert_array_equal(image, STACK[0, :, 0])


def test_axes_are_corrected(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", STACK[0, 0], "zyx")
    assert read_image(path, axes="tyx").dims == ("t", "y", "x")
    with pytest.raises(RetinaJError, match=r"axes is 'tzyx', but the axes of .*a\.zarr .* Z = 4, Y = 40, X = 30"):
        read_image(path, axes="tzyx")


def test_series_of_a_converted_file(tmp_path):
    path = tmp_path / "converted.zarr"
    zarr.open_group(path, mode="w", zarr_format=2).attrs.update({"bioformats2raw.layout": 3})
    for number in range(2):
        write_ome_zarr(path / str(number), STACK[0, number, number], "yx", version="0.4")
    np.testing.assert_array_equal(read_image(path), STACK[0, 0, 0])
    np.testing.assert_array_equal(read_image(path, series=2), STACK[0, 1, 1])
    with pytest.raises(RetinaJError, match=r"series is 3, but .* holds 2"):
        read_image(path, series=3)


def test_folders_are_found_as_images(tmp_path):
    write_ome_zarr(tmp_path / "b.ome.zarr", STACK[0, 0, 0], "yx")
    (tmp_path / "folder").mkdir()
    (tmp_path / ".hidden.zarr").mkdir()
    assert [path.name for path in find_images(tmp_path)] == ["b.ome.zarr"]


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def first_chunk(path: Path) -> Path:
    return next(file for file in sorted((path / "0" / "c").rglob("*")) if file.is_file())


def group_of(content: dict[str, Any]) -> dict[str, Any]:
    return content["attributes"]["ome"]["multiscales"][0]


def make_hostile(path: Path, kind: str) -> None:
    """Change a sound OME-Zarr 0.5 of 40 x 30 uint16 pixels in chunks of 16 x 16."""
    array, group, chunk = path / "0" / "zarr.json", path / "zarr.json", first_chunk(path)
    secret = path.parent / "secret"
    secret.write_bytes(b"s" * 512)
    changes: dict[str, Any] = {
        "shape": lambda: edit(array, lambda a: a.update(shape=[10**13, 10**13])),
        "many": lambda: edit(array, lambda a: a.update(shape=[2**40, 2])),
        "negative": lambda: edit(array, lambda a: a.update(shape=[-1, 30])),
        "chunk": lambda: edit(array, lambda a: a["chunk_grid"]["configuration"].update(chunk_shape=[10**6, 10**6])),
        "nested": lambda: group.write_text('{"attributes":' + "[" * 100_000),
        "list": lambda: group.write_text("[]"),
        "parent": lambda: edit(group, lambda a: group_of(a)["datasets"][0].update(path="../secret")),
        "codec": lambda: edit(array, lambda a: a["codecs"].append({"name": "pickle", "configuration": {}})),
        "type": lambda: edit(array, lambda a: a.update(data_type="complex64", fill_value=[0, 0])),
        "axes": lambda: edit(group, lambda a: group_of(a)["axes"].pop()),
        "version": lambda: edit(group, lambda a: a["attributes"]["ome"].update(version="0.9")),
        "nothing": lambda: edit(group, lambda a: a.update(attributes={})),
        "plate": lambda: edit(group, lambda a: a.update(attributes={"ome": {"version": "0.5", "plate": {}}})),
        "array": lambda: array.unlink(),
        "link": lambda: (chunk.unlink(), chunk.symlink_to(secret)),
        "folder link": lambda: ((path / "0").rename(path.parent / "away"), (path / "0").symlink_to(path.parent / "away")),
        "rubbish": lambda: chunk.write_bytes(b"\x28\xb5\x2f\xfd" + b"r" * 40),
        "bomb": lambda: chunk.write_bytes(imagecodecs.zstd_encode(bytes(10**8))),
        "large": lambda: os.truncate(chunk, 10**9),
    }
    changes[kind]()


HOSTILE = {
    "shape": "GiB; RetinaJ reads up to 8 GiB at once",
    "many": "GiB; RetinaJ reads up to 8 GiB at once",
    "negative": "the shape in its metadata",
    "chunk": "unpacks up to 1,073,741,824 bytes",
    "nested": "not readable as JSON",
    "list": "expected a JSON object",
    "parent": "does not follow OME-Zarr",
    "codec": "packs its pixels with 'pickle'",
    "type": "pixels of a type",
    "axes": "does not follow OME-Zarr 0.5: multiscales.0",
    "version": "version 0.9; RetinaJ reads 0.4 and 0.5",
    "nothing": "is not an OME-Zarr image",
    "plate": "is a whole plate or well",
    "array": "has no pixels at './0'",
    "link": "leads out of",
    "folder link": "leads out of",
    "rubbish": "damaged",
    "bomb": "unpacks to more than",
    "large": "more than its pixels can need",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_lying_folders_give_one_clear_error(tmp_path, kind):
    path = write_ome_zarr(tmp_path / "a.zarr", noise(40, 30), "yx")
    make_hostile(path, kind)
    with pytest.raises(RetinaJError, match=HOSTILE[kind]) as caught:
        read_image(path)
    assert "a.zarr" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_of_a_pickle_is_run(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", noise(40, 30), "yx", version="0.4")
    edit(path / "0" / ".zarray", lambda a: a.update(filters=[{"id": "pickle", "protocol": 4}], dtype="|O"))
    with pytest.raises(RetinaJError, match="packs its pixels with 'pickle'"):
        read_image(path)


@pytest.mark.parametrize("place", ["../secret", "/etc", "..\\secret", "C:/secret"])
def test_pixels_elsewhere_are_not_read(tmp_path, place):
    path = write_ome_zarr(tmp_path / "a.zarr", noise(40, 30), "yx", version="0.4")
    edit(path / ".zattrs", lambda a: a["multiscales"][0]["datasets"][0].update(path=place))
    with pytest.raises(RetinaJError, match=r"a\.zarr.*(outside of itself|does not follow|has no pixels)"):
        read_image(path)


@pytest.mark.parametrize(("codec", "pack"), [("gzip", gzip.compress), ("blosc", imagecodecs.blosc_encode)])
def test_other_bombs(tmp_path, codec, pack):
    codecs = {"gzip": zarr.codecs.GzipCodec(), "blosc": zarr.codecs.BloscCodec()}
    path = write_ome_zarr(tmp_path / "a.zarr", noise(40, 30), "yx", compressors=[codecs[codec]])
    first_chunk(path).write_bytes(pack(bytes(10**7)))
    with pytest.raises(RetinaJError, match="unpacks to more than"):
        read_image(path)


def test_a_lazy_image_says_when_damage_is_met(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", STACK[0, 0], "zyx", chunks=(1, 40, 30))
    first_chunk(path).write_bytes(b"rubbish")
    image = open_image(path, lazy_above=0)
    np.testing.assert_array_equal(image.isel(z=1), STACK[0, 0, 1])
    with pytest.raises(RetinaJError, match=r"a\.zarr is damaged"):
        image.isel(z=0).to_numpy()

"""Reading images: every pixel type, stacks, and files that lie."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from PIL import Image

from retinaj.errors import RetinaJError
from retinaj.images import find_images, open_image, read_header, read_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
RGB = RNG.integers(0, 256, (5, 7, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7), np.uint16)


def read_both(path: Path):
    """The image, after checking that the header tells the same about it."""
    image, header = read_image(path), read_header(path)
    assert dict(image.sizes) == dict(header.sizes)
    assert list(image.sizes) == list(header.sizes)
    assert image.dtype == header.dtype
    assert image.dtype.isnative
    assert image.attrs == header.attrs
    return image


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("pixels", [GREY, DEEP, RGB], ids=["grey8", "grey16", "rgb8"])
def test_lossless_formats_keep_every_value(tmp_path, pixels, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path)
    image = read_both(path)
    assert image.dims == (("y", "x") if pixels.ndim == 2 else ("c", "y", "x"))
    assert image.attrs["path"] == str(path)
    assert image.attrs["rgb"] == (pixels.ndim == 3)
    expected = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    np.testing.assert_array_equal(image, expected)


def test_jpeg(tmp_path):
    path = tmp_path / "a.JPG"
    Image.fromarray(np.full((16, 16, 3), (200, 30, 60), np.uint8)).save(path, "JPEG", quality=95)
    image = read_both(path)
    assert image.dims == ("c", "y", "x")
    assert abs(image.mean(("y", "x")) - [200, 30, 60]).max() < 4


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).convert("CMYK").save(path)
    assert read_both(path).sizes == {"c": 3, "y": 16, "x": 16}


def test_grey_jpeg_has_no_channel_axis(tmp_path):
    path = tmp_path / "a.jpeg"
    Image.fromarray(GREY).save(path)
    assert read_both(path).dims == ("y", "x")


def test_sixteen_bit_colour_png_is_not_cut_to_eight(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    for channels, expected in ((3, 3), (4, 3)):
        pixels = RNG.integers(0, 65536, (5, 7, channels), np.uint16)
        path = tmp_path / f"{channels}.png"
        path.write_bytes(imagecodecs.png_encode(pixels))
        image = read_both(path)
        assert image.dtype == np.uint16
        np.testing.assert_array_equal(image, pixels[..., :expected].transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_alpha_is_dropped_and_colour_under_it_kept(tmp_path, suffix):
    alpha = np.zeros((5, 7, 1), np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.concatenate([RGB, alpha], axis=2)).save(path)
    np.testing.assert_array_equal(read_both(path), RGB.transpose(2, 0, 1))
    path = tmp_path / f"grey.{suffix}"
    Image.fromarray(np.stack([GREY, alpha[..., 0]], axis=2), "LA").save(path)
    np.testing.assert_array_equal(read_both(path), GREY)


@pytest.mark.parametrize("transparent", [False, True])
def test_png_palette_becomes_rgb_also_when_all_grey(tmp_path, transparent):
    picture = Image.fromarray(GREY // 64, "P")
    picture.putpalette([value for level in (0, 80, 160, 240) for value in (level,) * 3])
    path = tmp_path / "a.png"
    picture.save(path, **({"transparency": 1} if transparent else {}))
    image = read_both(path)
    assert image.dims == ("c", "y", "x")
    np.testing.assert_array_equal(image, np.repeat((GREY // 64 * 80)[None], 3, axis=0))


def test_tiff_palette_is_colour_but_a_look_up_table_is_not(tmp_path):
    colours = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    path = tmp_path / "palette.tif"
    tifffile.imwrite(path, GREY, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(read_both(path), colours[:, GREY] // 257)
    np.testing.assert_array_equal(open_image(path, lazy_above=0), colours[:, GREY] // 257)
    path = tmp_path / "labels.tif"  # ImageJ stores the table of a label image with it
    tifffile.imwrite(path, GREY, photometric="palette", colormap=colours, description="ImageJ=1.54p\n", metadata=None)
    np.testing.assert_array_equal(read_both(path), GREY)
    path = tmp_path / "green.tif"  # as microscopes write a fluorescence channel
    green = np.stack([np.zeros(256), np.arange(256) * 257, np.zeros(256)]).astype(np.uint16)
    tifffile.imwrite(path, GREY, photometric="palette", colormap=green)
    np.testing.assert_array_equal(read_both(path), GREY)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_one_bit_images_become_0_and_255(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY > 127).save(path)
    image = read_both(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, (GREY > 127) * 255)


def test_inverting_look_up_table_leaves_values_alone(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read_both(path), GREY)


def test_exif_orientation_is_not_applied(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(path, exif=exif)
    assert read_both(path).sizes == {"c": 3, "y": 5, "x": 7}
    assert read_header(path).turned


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint32", ">u2", ">f4"])
def test_other_pixel_types_of_tiff(tmp_path, dtype):
    pixels = (RNG.random((5, 7)) * 1000).astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, byteorder=">" if dtype[0] == ">" else "<", compression="zlib")
    image = read_both(path)
    assert image.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(image, pixels)


@pytest.mark.parametrize("axes", ["TZCYX", "ZCYX", "TCYX", "CYX", "TYX", "ZYX"])
def test_imagej_hyperstacks(tmp_path, axes):
    shape = [{"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 7}[axis] for axis in axes]
    pixels = RNG.integers(0, 65536, shape, np.uint16)
    path = tmp_path / "a.tif"
    metadata = {"axes": axes, "unit": "um", "spacing": 0.5}
    tifffile.imwrite(path, pixels, imagej=True, metadata=metadata, resolution=(4, 2))
    image = read_both(path)
    assert image.dims == tuple(sorted(axes.lower(), key="tczyx".index))
    np.testing.assert_array_equal(image.transpose(*axes.lower()), pixels)
    assert not image.attrs["rgb"]
    assert image.attrs["physical_size"] == {"unit": "um", "x": 0.25, "y": 0.5, "z": 0.5}


def test_plain_pages_are_slices_and_axes_of_one_vanish(tmp_path):
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in range(3):
            writer.write(GREY + np.uint8(page), metadata=None, contiguous=False)
    assert read_both(path).sizes == {"z": 3, "y": 5, "x": 7}
    path = tmp_path / "one.tif"
    tifffile.imwrite(path, GREY[None, None, None], imagej=True, metadata={"axes": "TZCYX"})
    assert read_both(path).dims == ("y", "x")


def test_ome_tiff_and_planar_rgb(tmp_path):
    path = tmp_path / "a.ome.tif"
    pixels = RNG.integers(0, 256, (2, 3, 5, 7), np.uint8)
    size = {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.3, "PhysicalSizeZ": 1.5}
    tifffile.imwrite(path, pixels, metadata={"axes": "CZYX", "Channel": {"Name": ["DAPI", "GFP"]}, **size})
    image = read_both(path)
    np.testing.assert_array_equal(image, pixels)
    assert image.attrs["channel_names"] == ("DAPI", "GFP")
    assert image.attrs["physical_size"] == {"unit": "µm", "x": 0.2, "y": 0.3, "z": 1.5}
    path = tmp_path / "planar.tif"
    tifffile.imwrite(path, RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_both(path), RGB.transpose(2, 0, 1))


COMPRESSIONS = {
    "plain": {},
    "rgb": {"photometric": "rgb"},
    "lzw": {"compression": "lzw"},
    "deflate": {"compression": "zlib", "rowsperstrip": 7, "predictor": True},
    "zstd": {"compression": "zstd", "tile": (32, 32)},
    "packbits": {"compression": "packbits"},
    "lzma": {"compression": "lzma"},
    "jpeg": {"compression": "jpeg", "tile": (32, 32)},
    "jpeg2000": {"compression": "jpeg2000", "tile": (32, 32)},
    "bigtiff": {"bigtiff": True, "byteorder": ">"},
}


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_compressed_tiled_and_big_tiffs_whole_and_lazily(tmp_path, kind):
    shape = (3, 50, 45, 3) if kind == "rgb" else (3, 50, 45)
    pixels = RNG.integers(0, 256, shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, **({"photometric": "minisblack"} | COMPRESSIONS[kind]))
    image, lazy = read_both(tmp_path / "a.tif"), open_image(tmp_path / "a.tif", lazy_above=0)
    assert lazy.chunks is not None
    assert image.chunks is None
    expected = pixels.transpose(3, 0, 1, 2) if kind == "rgb" else pixels
    if kind == "jpeg":
        assert abs(image.astype(int) - expected).mean() < 20
    else:
        np.testing.assert_array_equal(image, expected)
    xr.testing.assert_identical(lazy.compute(), image)


def test_a_format_that_is_not_known_to_be_safe_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, compression="png")
    with pytest.raises(RetinaJError, match=r"a\.tif is packed with PNG, which RetinaJ does not open"):
        read_image(tmp_path / "a.tif")


def test_slice_labels_of_imagej_name_the_channels(tmp_path):
    pixels = RNG.integers(0, 256, (2, 3, 5, 7), np.uint8)
    for labels, names in ((["DAPI", "GFP", "RFP"] * 2, ("DAPI", "GFP", "RFP")), ([f"plane {at}" for at in range(6)], None)):
        tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "ZCYX", "Labels": labels})
        assert read_both(tmp_path / "a.tif").attrs.get("channel_names") == names


def test_one_of_several_series(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(GREY, metadata={"Name": "overview"})
        writer.write(np.stack([DEEP, DEEP + np.uint16(1)]), metadata={"Name": "detail", "axes": "ZYX"})
    assert read_header(path).series == ("overview", "detail")
    np.testing.assert_array_equal(read_both(path), GREY)
    detail = read_image(path, series=2)
    np.testing.assert_array_equal(detail, np.stack([DEEP, DEEP + np.uint16(1)]))
    xr.testing.assert_identical(open_image(path, series=2, lazy_above=0).compute(), detail)
    with pytest.raises(RetinaJError, match=r"series is 3, but .*a\.ome\.tif holds 2: 1 'overview', 2 'detail'"):
        read_image(path, series=3)


def test_a_wrong_guess_at_the_axes_is_corrected(tmp_path):
    path = tmp_path / "a.tif"
    pixels = RNG.integers(0, 256, (4, 5, 7), np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for page in pixels:
            writer.write(page, metadata=None, contiguous=False)
    assert read_image(path).dims == ("z", "y", "x")
    assert read_image(path, axes="TYX").dims == ("t", "y", "x")
    np.testing.assert_array_equal(read_image(path, axes="cxy"), pixels.transpose(0, 2, 1))
    assert dict(read_header(path, axes="cyx").sizes) == {"c": 4, "y": 5, "x": 7}
    for wrong in ("tzyx", "yx", "ttyx", "qyx", "tzy"):
        with pytest.raises(RetinaJError, match=rf"axes is '{wrong}', but .*a\.tif .* = 4, Y = 5, X = 7\. Expected .* 'tyx'"):
            read_image(path, axes=wrong)


def test_axes_that_the_file_leaves_open_can_be_named(tmp_path):
    pixels = RNG.integers(0, 256, (2, 4, 5, 7), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", metadata={"axes": "QQYX"})
    with pytest.raises(RetinaJError, match="Say which is which with --axes"):
        read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", axes="ctyx"), pixels.transpose(1, 0, 2, 3))


def test_pictures_have_rows_columns_and_colours_only(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", axes="yxc", series=1).dims == ("c", "y", "x")
    with pytest.raises(RetinaJError, match="is a PNG or JPEG"):
        read_image(tmp_path / "a.png", axes="zyx")
    with pytest.raises(RetinaJError, match="series is 2"):
        read_image(tmp_path / "a.png", series=2)


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def hostile_files(folder: Path) -> dict[str, Path]:
    files = {
        "empty.png": b"",
        "text.png": b"This is a text file.",
        "bmp.png": b"BM" + b"\0" * 100,
        "bomb.png": png_header(100_000, 100_000) + struct.pack(">I", 9) + b"IDAT" + b"\0" * 40,
        "header_only.png": png_header(10, 10),
        "bare.jpg": b"\xff\xd8\xff\xe0",
        "bare.tif": b"II*\0",
        "loop.tif": b"II*\0\x08\0\0\0" + b"\0\0" + struct.pack("<I", 8),
        "rubbish.tif": b"MM\0*" + bytes(range(256)) * 4,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    whole = folder / "whole.png"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(whole)
    (folder / "half.png").write_bytes(whole.read_bytes()[:5000])
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / "whole.jpg")
    (folder / "half.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:2000])
    tifffile.imwrite(folder / "half.tif", np.zeros((64, 64), np.uint16))
    (folder / "half.tif").write_bytes((folder / "half.tif").read_bytes()[:4000])
    tifffile.imwrite(folder / "halfzip.tif", RNG.integers(0, 256, (99, 99), np.uint8), compression="zlib", rowsperstrip=10)
    (folder / "halfzip.tif").write_bytes((folder / "halfzip.tif").read_bytes()[:6000])
    tifffile.imwrite(folder / "complex.tif", np.zeros((4, 4), np.complex64))
    tifffile.imwrite(folder / "cmyk.tif", np.zeros((4, 4, 4), np.uint8), photometric="separated")
    # a small file that says it is enormous
    tifffile.imwrite(folder / "vast.tif", np.zeros((8, 8), np.uint16))
    with tifffile.TiffFile(folder / "vast.tif", mode="r+b") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(4_000_000, dtype="I")
    return {path.name: path for path in sorted(folder.iterdir()) if not path.name.startswith("whole")}


HOSTILE = [
    *("bare.jpg", "bare.tif", "bmp.png", "bomb.png", "cmyk.tif", "complex.tif", "empty.png", "half.jpg", "half.png"),
    *("half.tif", "halfzip.tif", "header_only.png", "loop.tif", "rubbish.tif", "text.png", "vast.tif"),
]


REASONS = {
    "bomb": "more pixels",
    "bmp": "not a PNG",
    "text": "not a PNG",
    "empty": "is empty",
    "cmyk": "CMYK",
    "complex": "complex",
    "vast": "29,802.3 GiB",
    "loop": "leads back to an earlier one",
    "rubbish": "without any image",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_lying_files_give_one_clear_error(tmp_path, name):
    files = hostile_files(tmp_path)
    assert sorted(files) == HOSTILE
    with pytest.raises(RetinaJError, match=f"{name}.*{REASONS.get(name.split('.')[0], 'cut short|damaged')}") as caught:
        read_image(files[name])
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(RetinaJError, match=r"nowhere\.png does not exist"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(RetinaJError, match="is a folder"):
        read_image(tmp_path)


def test_content_decides_not_the_suffix(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    Image.fromarray(GREY).save(path, "PNG")
    np.testing.assert_array_equal(read_both(path), GREY)


def test_find_images_in_natural_order_without_hidden_ones(tmp_path):
    for name in ("b10.png", "b2.PNG", "a.tif", "._a.tif", "notes.txt", "c.jpeg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_images(tmp_path)] == ["a.tif", "b2.PNG", "b10.png", "c.jpeg"]
    with pytest.raises(RetinaJError, match=r"a\.tif is a file"):
        find_images(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "sizes", "dtype"),
    [
        ("imagej_roi/blobs.tif", {"y": 254, "x": 256}, "uint8"),
        ("stacks/xy_16bit__h2b.tif", {"y": 42, "x": 60}, "uint16"),
        ("stacks/xy_16bit__nuclei_high_dynamic_range_with_offset.tif", {"y": 147, "x": 149}, "uint16"),
        ("stacks/xy_16bit_labels__nuclei.tif", {"y": 427, "x": 423}, "uint16"),
        ("stacks/xy_float__nuclei_probability.tif", {"y": 50, "x": 59}, "float32"),
        ("stacks/xy_rgb__cells.tif", {"c": 3, "y": 257, "x": 280}, "uint8"),
        ("stacks/xyc_16bit__nup_nuclei.tif", {"c": 2, "y": 420, "x": 476}, "uint16"),
        ("stacks/xyc_8bit__cyto_nuclei.tif", {"c": 2, "y": 254, "x": 182}, "uint8"),
        ("stacks/xyt_8bit_polyp.tif", {"t": 3, "y": 313, "x": 313}, "uint8"),
        ("stacks/xyz_8bit__nucleus.tif", {"z": 7, "y": 207, "x": 207}, "uint8"),
        ("stacks/xyzc_16bit__spots.tif", {"c": 2, "z": 17, "y": 88, "x": 89}, "uint16"),
    ],
)
def test_real_microscopy_files(shared_data, name, sizes, dtype):
    image = read_both(shared_data / name)
    assert dict(image.sizes) == sizes
    assert image.dtype == dtype
    assert image.max() > image.min()
    lazy = open_image(shared_data / name, lazy_above=0)
    assert lazy.chunks is not None
    xr.testing.assert_identical(lazy.compute(), image)


def test_physical_size_of_a_real_stack(shared_data):
    size = read_header(shared_data / "stacks" / "xyzc_16bit__spots.tif").attrs["physical_size"]
    assert size["unit"] == "µm"
    assert size["z"] == pytest.approx(0.4)

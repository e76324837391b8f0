"""Which planes of a stack, and which of its channels, are what a model sees: one image each, with the boxes that lie on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from retinaj.boxes import Boxes, iou_matrix
from retinaj.errors import RetinaJError
from retinaj.images import LAZY_ABOVE, ImageHeader, open_image, read_header, read_image
from retinaj.images.axes import AXES
from retinaj.images.channels import Channel, choose_channels

# (time frame, slice), from 0; the slice is None where all slices become one image.
Plane = tuple[int, int | None]

# Of two boxes of a class on different slices with a higher IoU, one object is likely meant.
_SAME_OBJECT = 0.5
# Comparing each box with each takes their number squared.
_MOST_COMPARED = 3000


class PlaneChoice(BaseModel):
    """How images become planes. The default takes images as they are, and every plane of a stack by itself.

    Attributes:
        axes: what the axes of each image really are; see `retinaj.images.read_image`.
        series: which image of files that hold several, from 1.
        channels: which channels, by number (from 1) or name; () is all. Numbers alone are kept in ascending order, so that
            an image that has nothing but these channels, in its own order, is the same to a model.
        z: what becomes of the slices: "each" is an image by itself, "mid" takes the middle one, "max" the brightest value
            of each pixel in all of them. Time frames are always images by themselves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    axes: Annotated[str, Field(min_length=2, max_length=len(AXES))] | None = None
    series: Annotated[int, Field(ge=1)] | None = None
    channels: tuple[Channel, ...] = ()
    z: Literal["each", "max", "mid"] = "each"

    @field_validator("channels")
    @classmethod
    def _in_order(cls, channels: tuple[int | str, ...]) -> tuple[int | str, ...]:
        if len(set(channels)) != len(channels):
            raise ValueError("a channel is there twice")
        numbers = [channel for channel in channels if isinstance(channel, int)]
        return tuple(sorted(numbers)) if len(numbers) == len(channels) else channels

    @property
    def words(self) -> str:
        """What is chosen, for people; "" if nothing is.

        >>> PlaneChoice(channels=(1, "GFP"), z="max").words, PlaneChoice().words
        ('channels 1, GFP; the brightest value of all slices', '')
        """
        said = [f"channel{'s' * (len(self.channels) > 1)} {', '.join(map(str, self.channels))}"] if self.channels else []
        said += {"each": [], "mid": ["the middle slice"], "max": ["the brightest value of all slices"]}[self.z]
        return "; ".join(said)

    def header(self, path: Path) -> ImageHeader:
        """What `read_header` says of an image, with the axes and the series of this choice."""
        return read_header(path, axes=self.axes, series=self.series)

    def whole(self, path: Path) -> xr.DataArray:
        """The chosen channels of an image with all its planes, dims as `read_image` gives them.

        Raises:
            RetinaJError: as `read_image`, and if the image lacks a channel.
        """
        return choose_channels(read_image(path, axes=self.axes, series=self.series), self.channels)

    def planes(self, sizes: Mapping[str, int]) -> list[Plane]:
        """The planes of an image with these axis lengths, by time, then by slice.

        >>> PlaneChoice(z="mid").planes({"t": 2, "z": 7, "y": 10, "x": 10})
        [(0, 3), (1, 3)]
        """
        depth = sizes.get("z", 1)
        slices: Sequence[int | None] = {"each": range(depth), "mid": [depth // 2], "max": [None]}[self.z]
        return [(t, z) for t in range(sizes.get("t", 1)) for z in slices]

    def read(self, path: Path, plane: Plane | None = None) -> xr.DataArray:
        """The chosen channels of one plane. Of a stack, only this plane is read, or slice after slice.

        Args:
            path: as for `retinaj.images.read_image`.
            plane: one of `planes`; None for an image that is one plane.

        Returns:
            dims y, x, or c, y, x, in memory; attrs as `read_image` gives them, for the chosen channels.

        Raises:
            RetinaJError: as `read_image`, and if the image lacks a channel, or is a stack and no plane is given.
        """
        if plane is None:
            return self._single(self.whole(path))
        return self._choose(path, plane).compute()

    def open(self, path: Path, plane: Plane | None = None, *, lazy_above: int = LAZY_ABOVE) -> xr.DataArray:
        """As `read`, but a plane of more than `lazy_above` bytes in a TIFF or OME-Zarr stays there, as a dask array.

        Raises:
            RetinaJError: as `read`; damage to the pixels of a large plane is only noticed when they are used.
        """
        if plane is None:
            image = open_image(path, axes=self.axes, series=self.series, lazy_above=lazy_above)
            return self._single(choose_channels(image, self.channels))
        chosen = self._choose(path, plane)
        return chosen if chosen.nbytes > lazy_above else chosen.compute()

    def _single(self, image: xr.DataArray) -> xr.DataArray:
        if {"t", "z"} & set(image.dims):
            raise RetinaJError(f"{image.attrs['path']} is a stack ({_lengths(image.sizes)}); expected a single plane.")
        return image

    def _choose(self, path: Path, plane: Plane) -> xr.DataArray:
        """A plane of a stack, still in its file; a projection along z is in memory."""
        image = choose_channels(open_image(path, axes=self.axes, series=self.series, lazy_above=0), self.channels)
        t, z = plane
        image = image.isel(t=t) if "t" in image.dims else image
        if z is None and "z" in image.dims:
            return image.isel(z=0).copy(data=_brightest(image))
        return image.isel(z=z or 0) if "z" in image.dims else image

    def divide(
        self, boxes: Boxes, sizes: Mapping[str, int], where: str
    ) -> tuple[Sequence[tuple[Plane | None, Boxes]], list[str]]:
        """The boxes of an image by the planes that they lie on.

        Planes without boxes are left out, as images without annotations are, unless there is no box at all: then somebody
        looked and found nothing.

        Args:
            boxes: with the planes that their file gives, if any.
            sizes: of the image's axes.
            where: the annotation and its image, for errors and notes.

        Returns:
            Each plane with its boxes, which have no plane any more; the plane is None if the image has only one. And notes:
            what was left out or is doubtful, one sentence each.

        Raises:
            RetinaJError: if there are several planes, and the boxes do not say on which they lie.
        """
        lengths = {axis: sizes[axis] for axis in "tz" if sizes.get(axis, 1) > 1}
        bare = replace(boxes, plane=None)
        planes = self.planes(sizes)
        if not lengths:
            return [(None, bare)], []
        if not len(boxes):
            return [(plane, bare) for plane in planes], []
        if boxes.plane is None:
            if len(planes) == 1:
                return [(planes[0], bare)], []
            raise RetinaJError(f"{where}: {_homeless(len(boxes), lengths, planes)}")
        place = _places(boxes.plane, lengths)
        notes: list[str] = []
        beyond = (place < 0).any(axis=1) | (place >= [lengths.get("t", 1), lengths.get("z", 1)]).any(axis=1)
        if beyond.any():
            notes.append(f"{where}: {beyond.sum()} boxes lie on planes that the image ({_lengths(lengths)}) lacks; dropped")
        parts = [
            (plane, ~beyond & (place[:, 0] == plane[0]) & (plane[1] is None or place[:, 1] == plane[1])) for plane in planes
        ]
        if missed := int((~beyond).sum() - sum(mask.sum() for _, mask in parts)):
            notes.append(f"{where}: {missed} boxes do not lie on the middle slice and are dropped; use --z each or --z max")
        found = [(plane, bare.select(mask)) for plane, mask in parts if mask.any()]
        if 0 < len(found) < len(planes):
            notes.append(f"{where}: {len(planes) - len(found)} of its {len(planes)} planes have no boxes and are left out")
        if self.z == "max" and (repeated := sum(_repeated(boxes.select(mask), place[mask, 1]) for _, mask in parts)):
            notes.append(
                f"{where}: {repeated} boxes overlap one of the same class on another slice. If they mean the same object, it "
                "counts twice in a projection: annotate each object once, or use --z each"
            )
        return found, notes


AS_STORED = PlaneChoice()


def plane_suffix(plane: Plane | None, sizes: Mapping[str, int]) -> str:
    """What tells the name of a plane from the others of its image, counted from 1 as ImageJ does.

    >>> plane_suffix((0, 6), {"t": 3, "z": 17}), plane_suffix((2, None), {"t": 3, "z": 17}), plane_suffix(None, {})
    ('_t1_z07', '_t3', '')
    """
    if plane is None:
        return ""
    places = [(axis, at + 1) for axis, at in zip("tz", plane, strict=True) if at is not None and sizes.get(axis, 1) > 1]
    return "".join(f"_{axis}{number:0{len(str(sizes[axis]))}d}" for axis, number in places)


def _brightest(image: xr.DataArray) -> NDArray[np.generic]:
    """Along z; one slice at a time, so that the stack need not fit into memory."""
    highest = image.isel(z=0).to_numpy()
    for z in range(1, image.sizes["z"]):
        highest = np.fmax(highest, image.isel(z=z).to_numpy())
    return highest


def _places(plane: NDArray[np.int32], lengths: Mapping[str, int]) -> NDArray[np.int32]:
    """[N, 2]: frame and slice of each box. Of a stack along one axis ImageJ counts its planes in one number, as a slice."""
    if len(lengths) == 2:
        return plane[:, [0, 2]]
    along, none = plane[:, 0] + plane[:, 2], np.zeros(len(plane), np.int32)
    return np.stack([along, none] if "t" in lengths else [none, along], axis=1)


def _repeated(boxes: Boxes, z: NDArray[np.int32]) -> int:
    """How many boxes overlap an earlier one of their class on another slice."""
    if len(boxes) > _MOST_COMPARED:
        return 0
    same = (iou_matrix(boxes.xyxy, boxes.xyxy) > _SAME_OBJECT) & (boxes.label[:, None] == boxes.label) & (z[:, None] != z)
    return int(np.tril(same, -1).any(axis=1).sum())


def _homeless(count: int, lengths: Mapping[str, int], planes: Sequence[Plane]) -> str:
    """Why boxes without planes cannot be used on a stack, and what to do."""
    flat = "If they hold for all slices, use --z max; if they were drawn on the middle one, --z mid. Else annotate"
    one_frame = len({t for t, _ in planes}) == 1
    return (
        f"the image is a stack ({_lengths(lengths)}), and nothing says on which plane its {count} boxes lie. "
        f"{flat if one_frame else 'Annotate'} with ImageJ ROIs that have a position (in the ROI Manager: More > Options > "
        "Associate with slices), or save the planes as images of their own (File > Save As > Image Sequence)."
    )


def _lengths(sizes: Mapping[Any, int]) -> str:
    return ", ".join(f"{axis} = {length}" for axis, length in sizes.items() if str(axis) in "tz")

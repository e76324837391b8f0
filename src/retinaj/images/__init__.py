"""Microscopy images: reading any of them by its content, and saying which of its planes are meant."""

from __future__ import annotations

from retinaj.images.reading import (
    IMAGE_SUFFIXES,
    LAZY_ABOVE,
    MAX_IMAGE_BYTES,
    ImageHeader,
    find_images,
    image_stem,
    is_image,
    is_image_name,
    is_ome_zarr,
    natural_key,
    open_image,
    read_header,
    read_image,
    sample_range,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "LAZY_ABOVE",
    "MAX_IMAGE_BYTES",
    "ImageHeader",
    "find_images",
    "image_stem",
    "is_image",
    "is_image_name",
    "is_ome_zarr",
    "natural_key",
    "open_image",
    "read_header",
    "read_image",
    "sample_range",
]

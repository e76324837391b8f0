"""The README.md of a package, written from the training record and the evaluation: no number in it is typed by hand."""

from __future__ import annotations

from importlib.resources import files

import jinja2

from retinaj.model_folder import ModelRecord
from retinaj.normalization import FixedScale, PercentileScale
from retinaj.prediction.detector import DEFAULT_THRESHOLD
from retinaj_zoo.description import FILES
from retinaj_zoo.metadata import DATA_NOT_STATED, LIMITS_NOT_STATED, Metadata


def write_documentation(record: ModelRecord, metadata: Metadata, validation: str, parameters: int) -> str:
    """The Markdown text.

    Args:
        record: of the model.
        metadata: made by `completed`.
        validation: the section about the evaluation, as Markdown.
        parameters: how many numbers the network has learned.
    """
    template = files("retinaj_zoo").joinpath("documentation.md").read_text(encoding="utf-8")
    # Markdown, not HTML: what is read is text, and nothing of it comes from a stranger.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    return environment.from_string(template).render(
        name=metadata.name,
        description=metadata.description,
        record=record,
        metadata=metadata,
        training_data=metadata.training_data or DATA_NOT_STATED,
        limits=metadata.limits or LIMITS_NOT_STATED,
        channels=record.network.channels,
        threshold=f"{DEFAULT_THRESHOLD:g}",
        class_list=list(record.class_names),
        loading_code=loading_code(record.network.channels),
        normalization_code=normalization_code(record.normalization),
        validation=validation,
        parameters=f"{parameters:,}",
        files=FILES,
    )


def loading_code(channels: int) -> str:
    """Python lines that read `image`, float32 [y, x, channel], from a file.

    >>> print(loading_code(1))
    from PIL import Image
    <BLANKLINE>
    image = np.asarray(Image.open("image.png"), np.float32)[..., None]  # y, x, channel
    """
    if channels == 1:
        return 'from PIL import Image\n\nimage = np.asarray(Image.open("image.png"), np.float32)[..., None]  # y, x, channel'
    if channels == 3:
        return 'from PIL import Image\n\nimage = np.asarray(Image.open("image.png").convert("RGB"), np.float32)  # y, x, RGB'
    read = 'np.moveaxis(tifffile.imread("image.tif"), 0, -1).astype(np.float32)'
    return f"import tifffile\n\nimage = {read}  # y, x, channel; ImageJ stores channels first"


def normalization_code(normalization: FixedScale | PercentileScale) -> str:
    """Python lines that normalise `image`, float32 [y, x, channel], as the model expects it.

    >>> print(normalization_code(FixedScale()))
    image = image * 0.015625 + -2.0
    """
    scale = f"image = image * {normalization.gain!r} + {normalization.offset!r}"
    if isinstance(normalization, FixedScale):
        return scale
    return (
        f"low, high = np.percentile(image, [{normalization.low!r}, {normalization.high!r}], axis=(0, 1))\n"
        f"image = np.clip((image - low) / (high - low + {normalization.eps!r}), 0, 1)\n{scale}"
    )

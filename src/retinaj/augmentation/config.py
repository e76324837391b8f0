"""How strongly training windows vary, as plain data. It is stored with the model."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Examples are for people to look at: a weak and a strong choice; of a share, what all windows would be like.
_Share = Annotated[float, Field(ge=0, le=1, examples=[1.0])]


class AugmentationConfig(BaseModel):
    """How strongly training windows vary. Validation images are never changed.

    What each strength does, its range and its default are told by its field's description, limits and default: `retinaj
    train --help` lists them from here. Brightness and noise count in the units of the network's input, in which an image
    spans about 4.

    >>> AugmentationConfig(rotate=30).rotate, AugmentationConfig.off().scale
    (30.0, 1.0)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    flip: Annotated[bool, Field(description="mirror left-right and up-down, each half of the time")] = True
    quarter_turns: Annotated[bool, Field(description="turn by 0, 90, 180 or 270 degrees")] = True
    rotate: Annotated[float, Field(ge=0, le=180, description="turn by up to this many degrees", examples=[10, 45])] = 0.0
    scale: Annotated[
        float, Field(ge=1, le=4, description="magnify up to this factor, or shrink by it", examples=[1.2, 2.0])
    ] = 1.4
    aspect: Annotated[
        float, Field(ge=0, le=1, description="stretch one side against the other by up to this share", examples=[0.1, 0.5])
    ] = 0.1
    translate: Annotated[
        float,
        Field(ge=0, le=0.5, description="reach over the image's border by up to this share of a window", examples=[0.1, 0.3]),
    ] = 0.0
    on_object: Annotated[_Share, Field(description="share of windows placed round an object, of images larger than it")] = 0.5
    keep_whole: Annotated[_Share, Field(description="share of windows placed to cut as few objects as possible")] = 0.0
    mosaic: Annotated[_Share, Field(description="share of windows put together from four images")] = 0.0
    contrast: Annotated[
        float, Field(ge=0, le=2, description="multiply contrast by up to 1 + this, or divide by it", examples=[0.2, 1.0])
    ] = 0.2
    brightness: Annotated[
        float,
        Field(ge=0, le=2, description="add or subtract up to this; black and white are 4 apart", examples=[0.3, 1.0]),
    ] = 0.2
    colour: Annotated[
        float, Field(ge=0, le=2, description="contrast and brightness of each channel by itself", examples=[0.1, 0.5])
    ] = 0.1
    gamma: Annotated[
        float,
        Field(ge=0, le=2, description="brighten or darken middle tones: exponent up to 1 + this", examples=[0.3, 1.0]),
    ] = 0.0
    blur: Annotated[float, Field(ge=0, le=10, description="Gaussian blur, sigma up to this many pixels", examples=[1, 3])] = 0.0
    noise: Annotated[
        float, Field(ge=0, le=2, description="Gaussian noise, sigma up to this, as brightness counts", examples=[0.1, 0.5])
    ] = 0.0
    channel_drop: Annotated[
        _Share, Field(description="share of windows in which one channel is blanked, of images with several")
    ] = 0.0

    @classmethod
    def off(cls) -> AugmentationConfig:
        """Nothing varies: a window is a plain cut-out at a random place."""
        off: dict[str, Any] = dict.fromkeys(cls.model_fields, 0) | {"flip": False, "quarter_turns": False, "scale": 1}
        return cls(**off)

    @model_validator(mode="before")
    @classmethod
    def _read_old_record(cls, values: Any) -> Any:
        """Models trained before free rotation say with `rotate`, true or false, whether quarter turns were on."""
        if isinstance(values, dict) and isinstance(values.get("rotate"), bool):
            values = dict(values)
            values["quarter_turns"] = values.pop("rotate")
        return values

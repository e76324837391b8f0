"""A model's normalisation as bioimage.io preprocessing: the same arithmetic, run by any consumer of the package."""

from __future__ import annotations

from bioimageio.spec.model import v0_5

from retinaj.normalization import FixedScale, PercentileScale

Step = v0_5.ScaleRangeDescr | v0_5.ClipDescr | v0_5.ScaleLinearDescr | v0_5.EnsureDtypeDescr


def preprocessing(normalization: FixedScale | PercentileScale) -> list[Step]:
    """The steps that repeat `normalization` on a float32 tensor with axes batch, y, x, channel.

    The last step fixes float32: without it, bioimageio.spec would append a cast to the type of the input tensor.

    >>> [step.id for step in preprocessing(PercentileScale())]
    ['scale_range', 'clip', 'scale_linear', 'ensure_dtype']
    """
    steps: list[Step] = []
    if isinstance(normalization, PercentileScale):
        percentiles = v0_5.ScaleRangeKwargs(
            axes=[v0_5.AxisId("y"), v0_5.AxisId("x")],
            min_percentile=normalization.low,
            max_percentile=normalization.high,
            eps=normalization.eps,
        )
        steps.append(v0_5.ScaleRangeDescr(kwargs=percentiles))
        steps.append(v0_5.ClipDescr(kwargs=v0_5.ClipKwargs(min=0.0, max=1.0)))
    # The format refuses a scaling that changes nothing.
    if (normalization.gain, normalization.offset) != (1.0, 0.0):
        scaling = v0_5.ScaleLinearKwargs(gain=normalization.gain, offset=normalization.offset)
        steps.append(v0_5.ScaleLinearDescr(kwargs=scaling))
    steps.append(v0_5.EnsureDtypeDescr(kwargs=v0_5.EnsureDtypeKwargs(dtype="float32")))
    return steps

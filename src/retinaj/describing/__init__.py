"""What is in an annotated data set: numbers, figures, examples, and hints before training."""

from __future__ import annotations

from retinaj.describing.description import Description
from retinaj.describing.run import describe
from retinaj.describing.survey import Survey, survey_dataset

__all__ = ["Description", "Survey", "describe", "survey_dataset"]

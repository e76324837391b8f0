"""What a study says, in sentences: the same on the terminal and on the page."""

from __future__ import annotations

from retinaj.tuning.results import StudyResults

# A rule of thumb: trainings that differ in nothing but the seed can differ by so much, more with few validation images.
CHANCE = 0.01
# The importance of settings is told by the best quarter of the finished trials: of fewer that is one trial or two.
FEWEST_FOR_IMPORTANCE = 12


def conclusion(results: StudyResults) -> str:
    """The best trial beside the defaults, and how far to trust the difference."""
    best, default, gain = results.best, results.default, results.gain
    if best is None:
        return "No trial has finished so far, so that nothing is known."
    said = f"The best trial is number {best.number}, with AP@.5:.95 {best.ap:.3f} on the validation images."
    if default is None or gain is None:
        return f"{said} The trial with the defaults did not finish, so that nobody knows how much better that is."
    if gain <= 0:
        return f"{said} No other settings were better than the defaults."
    than = f"{said} That is {gain:.3f} more than with the defaults ({default.ap:.3f})."
    if gain < CHANCE:
        return (
            f"{than} So little may be chance: another seed alone can change AP by {CHANCE:g}, and by more with few "
            "validation images. Keep the defaults, unless more trials say otherwise."
        )
    return (
        f"{than} About {CHANCE:g} of it may be chance, more with few validation images, and the best of many trials was "
        "lucky, too: judge a long training with these settings on images that the study has not seen."
    )

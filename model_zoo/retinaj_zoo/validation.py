"""The section "Validation" of a package's documentation, from the evaluation that lies in the model folder."""

from __future__ import annotations

from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.evaluation.result import EvaluationResult
from retinaj.evaluation.run import EVALUATION_FILE
from retinaj.files import require_file
from retinaj.model_folder import TRAINING_FOLDER, TrainingRecord

NOT_EVALUATED = "**No evaluation was made**"
_LARGEST_EVALUATION = 64 * 2**20  # bytes


def read_evaluation(model_folder: Path, weights_sha256: str, evaluation: Path | None = None) -> EvaluationResult | None:
    """The evaluation of a model, or None if there was none of its present weights.

    Args:
        model_folder: has it in its folder training/, if the model was evaluated.
        weights_sha256: of the weights that are packaged; figures of others, as of an earlier epoch, say nothing of them.
        evaluation: a folder that `retinaj evaluate` wrote, to read instead.

    Raises:
        RetinaJError: if the file is not an evaluation, or `evaluation` holds none, or one of other weights.
    """
    path = (evaluation or model_folder / TRAINING_FOLDER) / EVALUATION_FILE
    if evaluation is not None:
        require_file(path, "the figures of `retinaj evaluate`")
    elif not path.is_file():
        return None
    if path.stat().st_size > _LARGEST_EVALUATION:
        raise RetinaJError(f"{path} is {path.stat().st_size:,} bytes large; it is not an evaluation by RetinaJ.")
    result = EvaluationResult.from_json(path.read_text(encoding="utf-8"), str(path))
    if result.weights_sha256 == weights_sha256:
        return result
    if evaluation is None:
        return None
    raise RetinaJError(f"{path} has the figures of other weights than {model_folder} has now. Evaluate this model first.")


def validation_section(evaluation: EvaluationResult | None, training: TrainingRecord) -> str:
    """What was measured, as Markdown; without an evaluation, that nothing was.

    Args:
        evaluation: made by `retinaj evaluate`.
        training: has the figures by which the best epoch was chosen.
    """
    if evaluation is not None:
        best, most = evaluation.best_threshold, evaluation.max_detections
        hint = f" F1 over all classes is highest, {evaluation.best_f1:.3f}, at the threshold {best:.2f}." if best else ""
        return (
            f"Measured on {evaluation.images} images with {evaluation.overall.objects:,} annotated objects.{hint} AP is "
            f"average precision by COCO's method at the IoU given, with at most {most} detections per class in an image; "
            f"precision and recall are at IoU .5.\n\n{evaluation.markdown()}\n"
        )
    plain = f"{NOT_EVALUATED}: how good this model is on images that it has not seen is not known.\n"
    if training.validation_ap50 is None or training.validation_ap is None:
        return plain
    return (
        f"{plain}\nOn the {training.validation_images} images by which the best epoch was chosen, which makes the figures "
        f"flatter it, AP@.5 was {training.validation_ap50:.3f} and AP@.5:.95 was {training.validation_ap:.3f}.\n"
    )

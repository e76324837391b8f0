"""The names that every package's graph has."""

from __future__ import annotations

# The input, the output, and the optional input with a default.
INPUT, OUTPUT, OVERLAP = "image", "detections", "overlap"
# The columns of the output.
DETECTION_FIELDS = ("x_min", "y_min", "x_max", "y_max", "score", "label")
# The newest operator set that JDLL, and so DeepImageJ, reads.
ONNX_OPSET = 18

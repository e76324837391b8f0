"""How many pixels one pass of a network holds comfortably, by the memory that it was measured to need."""

from __future__ import annotations

from retinaj.network.config import BackboneName, NetworkConfig

# What a pass may take: half of a laptop of 8 GB. A number, and not a share of what is free at the time: where tiles begin must
# not depend on what else runs.
PASS_BYTES = 4 * 2**30
# For each pixel that the network sees, on TensorFlow (ONNX Runtime needs less), with levels from P2 and a pyramid 64 channels
# wide: what benchmarks/detection_memory.py printed, rounded up to whole tens.
_BYTES_PER_PIXEL: dict[BackboneName, int] = {
    "light_small": 110,
    "light": 130,
    "light_large": 130,
    "resnet50": 260,
    "resnet101": 260,
    "resnet152": 260,
    "mobilenet_v1": 310,
    "mobilenet_v2": 330,
    "mobilenet_v3_small": 120,
    "mobilenet_v3_large": 270,
    "densenet121": 350,
    "efficientnet_v2_b0": 160,
    "convnext_tiny": 820,
}
_PYRAMID_WIDTH = 64
# For each further channel of the pyramid.
_BYTES_PER_CHANNEL = 1.4


def pass_pixels(network: NetworkConfig | None) -> int:
    """The largest image that is searched in one pass, in pixels of the image.

    Args:
        network: None stands for a detector that RetinaJ did not train, which is taken to need as much as the hungriest.

    >>> 5700**2 < pass_pixels(NetworkConfig(num_classes=1)) < 5800**2
    True
    """
    hungriest = max(_BYTES_PER_PIXEL.values())
    if network is None:
        return PASS_BYTES // hungriest
    wider = max(network.pyramid_width - _PYRAMID_WIDTH, 0)
    needed = _BYTES_PER_PIXEL.get(network.backbone, hungriest) + _BYTES_PER_CHANNEL * wider
    return int(PASS_BYTES / needed) * network.downsampling**2

"""Whether the graph's NMS equals greedy per-class NMS on every image of some folders. Prints a table.

    python benchmarks/nms_agreement.py FOLDER... [--model MODEL_FOLDER]

Of each image the first plane is searched, either by a network of random weights, which scores boxes all over the image, close
to each other, or by a trained one. What enters NMS goes through the graph's matrix arithmetic and through greedy NMS in NumPy.
The depth is the number of rounds that settle all boxes; up to `ROUNDS`, the graph is exact.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from nms_reference import candidates, depth, expected_rows, first_plane, real_images  # noqa: E402

from retinaj.errors import RetinaJError  # noqa: E402
from retinaj.model_folder import load_network  # noqa: E402
from retinaj.network.config import NetworkConfig  # noqa: E402
from retinaj.network.nms import ROUNDS  # noqa: E402
from retinaj.normalization import FixedScale, PercentileScale  # noqa: E402
from retinaj.prediction.detector import to_channels  # noqa: E402

# Numbers that are computed twice differ in their last digits: pixels, and scores.
TOLERANCE = 1e-3


def main() -> None:
    """Search each folder and print its row; exit 1 if one image disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="with images, also in folders below")
    parser.add_argument("--model", type=Path, help="model folder, as `retinaj train` makes it [random weights]")
    options = parser.parse_args()
    network, config, normalization = random_network() if options.model is None else trained_network(options.model)
    run = graph(network, config)
    print(f"{options.model or 'random weights'}; the graph has {ROUNDS} rounds")
    print("| images of | searched | enter NMS | kept | greatest depth | disagree | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    disagreeing: list[Path] = []
    for folder in options.folders:
        started = time.monotonic()
        entered = kept = searched = deepest = wrong = 0
        for path in real_images(folder):
            plane = first_plane(path)
            if plane is None:
                continue
            try:
                pixels = to_channels(plane, config.channels)
            except RetinaJError:  # other channels than the network has
                continue
            outputs, rows = run(normalization(pixels)[None])
            found = candidates(outputs, config)
            above = int((found[1] >= config.score_floor).sum())
            deepest = max(deepest, depth(found[0][:above], found[2][:above], config.overlap))
            if not np.allclose(rows[0], expected_rows(found, config, config.overlap), rtol=0, atol=TOLERANCE):
                wrong += 1
                disagreeing.append(path)
            searched, entered, kept = searched + 1, entered + above, kept + int((np.asarray(rows)[0, :, 4] > 0).sum())
        seconds = time.monotonic() - started
        print(f"| {folder.name} | {searched} | {entered} | {kept} | {deepest} | {wrong} | {seconds:.0f} |", flush=True)
    for path in disagreeing:
        print(f"disagrees: {path}")
    raise SystemExit(bool(disagreeing))


def random_network() -> tuple[Any, NetworkConfig, FixedScale | PercentileScale]:
    """A small network of random weights."""
    import keras

    from retinaj.network.retinanet import build_network

    config = NetworkConfig(num_classes=2, prior=0.3, pyramid_width=16, downsampling=2, max_candidates=500, score_floor=0.05)
    keras.utils.set_random_seed(0)
    return build_network(config), config, PercentileScale()


def trained_network(folder: Path) -> tuple[Any, NetworkConfig, FixedScale | PercentileScale]:
    """The network of a model folder."""
    record, network = load_network(folder)
    return network, record.network, record.normalization


def graph(network: Any, config: NetworkConfig) -> Any:
    """A function from a normalised image to the network's outputs and to the detections made of them."""
    import tensorflow as tf

    from retinaj.network.detection import network_input, select_detections

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, config.channels), tf.float32)])
    def run(image: Any) -> tuple[Any, Any]:
        outputs = network(network_input(image, config))
        return outputs, select_detections(outputs, config, config.overlap)

    return run


if __name__ == "__main__":
    main()

"""An environment in which the real TF2 Object Detection API runs, to check what RetinaJ reads and writes for it.

    python benchmarks/tf2_api_environment.py DIR

The API is no longer maintained; its upload of 2022 runs on TensorFlow 2.20 after three repairs, which this makes: its generated
protobuf modules are written anew from the descriptors inside them, its record decoder finds `cond` and `case` where TensorFlow
has them now, and three packages that only models which nobody builds here need (DeepMAC, EfficientDet) are empty. Programs that
build its models need TF_USE_LEGACY_KERAS=1. It takes 3 GB.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from pathlib import Path

API = "tf-models-research-object-detection==2.8.0.post1"
# What its modules import; its own requirements ask for Apache Beam, PyQt and an older TensorFlow.
NEEDED = ("tensorflow==2.20.*", "tf-keras==2.20.*", "tf-slim==1.1.0", "lvis", "pycocotools", "matplotlib", "pillow", "lxml")
NEEDED_TOO = ("contextlib2", "scipy", "pandas", "six")
MOVED = "from tensorflow.python.ops import control_flow_ops\n"
FOUND = "from tensorflow.compat import v1 as control_flow_ops\n"
EMPTY = (
    "tensorflow_io",
    "official.vision.image_classification.efficientnet.efficientnet_model",
    "official.modeling.optimization.ema_optimizer",
)


def main() -> None:
    """Make the environment and try it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to make it; must not exist")
    folder: Path = parser.parse_args().folder.resolve()
    if folder.exists():
        parser.error(f"{folder} already exists")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *NEEDED, *NEEDED_TOO], check=True)
    subprocess.run([*install, "--no-deps", API], check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([str(python), "-c", where], capture_output=True, text=True, check=True).stdout.strip())
    for module in sorted((packages / "object_detection" / "protos").glob("*_pb2.py")):
        module.write_text(regenerated(module), encoding="utf-8")
    decoder = packages / "tf_slim" / "data" / "tfexample_decoder.py"
    decoder.write_text(decoder.read_text(encoding="utf-8").replace(MOVED, FOUND), encoding="utf-8")
    for name in EMPTY:
        make_empty(packages, name)
    trial = "from object_detection.builders import model_builder; from object_detection.data_decoders import tf_example_decoder"
    subprocess.run([str(python), "-c", trial], env=os.environ | {"TF_USE_LEGACY_KERAS": "1"}, check=True)
    print(f"The API runs in {python}")


def regenerated(module: Path) -> str:
    """A module for today's protobuf with the descriptor that a module of 2022 carries."""
    text = module.read_text(encoding="utf-8")
    [descriptor] = [
        node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.keyword) and node.arg == "serialized_pb"
    ][:1]
    imports = re.findall(r"^from object_detection\.protos import \w+_pb2", text, re.MULTILINE)
    name = f"object_detection.protos.{module.stem}"
    return "\n".join(
        [
            "from google.protobuf import descriptor_pool",
            "from google.protobuf.internal import builder",
            *imports,
            f"DESCRIPTOR = descriptor_pool.Default().AddSerializedFile({ast.literal_eval(descriptor)!r})",
            "builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())",
            f"builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, {name!r}, globals())",
            "",
        ]
    )


def make_empty(packages: Path, name: str) -> None:
    """An empty module of this dotted name."""
    *parents, last = name.split(".")
    folder = packages
    for parent in parents:
        folder /= parent
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    (folder / f"{last}.py").touch()


if __name__ == "__main__":
    main()

"""A package in an environment without RetinaJ: what any other user of the BioImage Model Zoo sees. Prints a table.

    python benchmarks/clean_environment.py PACKAGE [--environment DIR]

Makes a virtual environment with bioimageio.core, TensorFlow and ONNX Runtime, in the versions of requirements.lock and with
nothing of RetinaJ in it, and runs bioimageio.core's commands on the package there, in an empty folder.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
# What runs the weights; pip brings what they need, in the versions that the lock allows.
INSTALLED = ("bioimageio.core", "tensorflow", "onnxruntime")


def main() -> None:
    """Make the environment, run the commands, print the table; exit 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="zip made by `retinaj package`")
    parser.add_argument("--environment", type=Path, metavar="DIR", help="where to make it, or one that this made [temporary]")
    options = parser.parse_args()
    package = options.package.resolve(strict=True)
    with TemporaryDirectory() as name:
        environment = (options.environment or Path(name) / "environment").resolve()
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if not python.is_file():
            make_environment(environment, python)
        assert_no_retinaj(python)
        failed = run_all(python, package, Path(name))
    raise SystemExit(bool(failed))


def make_environment(environment: Path, python: Path) -> None:
    """A virtual environment with `INSTALLED`, at the versions of requirements.lock."""
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    constraints = environment / "constraints.txt"
    # Constraints take no hashes; the versions and their markers are what counts here.
    pins = re.findall(r"^([a-z0-9._-]+)(?:\[.*?\])?(==[^\\\n]+?) *\\?$", lock, re.MULTILINE)
    constraints.write_text("".join(f"{name}{pin}\n" for name, pin in pins), encoding="utf-8")
    quiet = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    subprocess.run([str(python), "-m", "pip", "install", *quiet, "-c", str(constraints), *INSTALLED], check=True)


def assert_no_retinaj(python: Path) -> None:
    """Make sure that the environment is clean."""
    code = "import importlib.util as u; raise SystemExit(any(u.find_spec(n) for n in ('retinaj', 'retinaj_zoo')))"
    if subprocess.run([str(python), "-c", code], env=variables(python), check=False).returncode:
        raise SystemExit(f"RetinaJ can be imported by {python}: that environment proves nothing.")


def run_all(python: Path, package: Path, folder: Path) -> list[str]:
    """Run each command and print its row; the names of those that failed."""
    core = [str(python.parent / "bioimageio")]
    example = folder / f"{package.stem}_example"  # which the first prediction makes, and the others use
    inputs = f'[["{example}/image/001.tif"]]'
    commands = {
        "validate-format": [*core, "validate-format", str(package)],
        "test --weight-format all": [*core, "test", str(package), "--weight-format", "all"],
        "package": [*core, "package", str(package), "repackaged.zip"],
        "predict --example": [*core, "predict", str(package), "--example"],
    }
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder / "unpacked")
    for weight_format in ("onnx", "tensorflow_saved_model_bundle"):  # the command has no word for keras_v3
        outputs = f"{weight_format}/{{output_id}}/{{sample_id}}.tif"
        commands[f"predict --weight-format {weight_format}"] = [
            *core, "predict", str(package), "--inputs", inputs, "--outputs", outputs,
            "--weight-format", weight_format, "--blockwise=False",
        ]  # fmt: skip
    print("| bioimageio … | exit | seconds | it wrote |\n| --- | ---: | ---: | --- |")
    failed: list[str] = []
    for name, command in commands.items():
        before = set(folder.rglob("*.*"))
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=folder, env=variables(python), capture_output=True, text=True, errors="replace", check=False
        )
        seconds = time.monotonic() - started
        written = sorted(path.relative_to(folder).as_posix() for path in set(folder.rglob("*.*")) - before)
        results = [path for path in written if path.endswith((".tif", "repackaged.zip"))]
        print(f"| {name} | {done.returncode} | {seconds:.0f} | {', '.join(results)} |", flush=True)
        if done.returncode or (name.startswith(("predict", "package")) and not results):
            failed.append(name)
            print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
    return failed


def variables(python: Path) -> dict[str, str]:
    """This environment without paths to RetinaJ, that of `python` activated, with TensorFlow behind Keras."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    # `bioimageio predict --example` calls `bioimageio` by its name.
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH", "")])
    return kept | {"PATH": path, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUTF8": "1"}


if __name__ == "__main__":
    main()

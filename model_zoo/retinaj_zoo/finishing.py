"""How every package is finished: described files become a zip, bioimageio.core tests it, and only then is it put into place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from bioimageio.spec import save_bioimageio_package

from retinaj.errors import RetinaJError
from retinaj.files import atomic_path, require_absent
from retinaj_zoo.checking import CheckResult, check_package


def require_new_zip(output: Path) -> None:
    """Refuse, before any work is done, an output that cannot be written.

    Raises:
        RetinaJError: if `output` exists or is not called a zip.
    """
    if output.suffix.lower() != ".zip":
        raise RetinaJError(f"{output} does not end with .zip; a bioimage.io package is a zip file.")
    require_absent(output)


def finish_package(folder: Path, describe: Callable[[], Any], output: Path, log: Callable[[str], None]) -> CheckResult:
    """Zip the files of a package, have bioimageio.core test the zip in a fresh process, and move it into place.

    Args:
        folder: a temporary one, with the files.
        describe: gives their `bioimageio.spec.model.v0_5.ModelDescr`.
        output: the zip to write; it must not exist.
        log: called with each line of progress.

    Raises:
        RetinaJError: if the format refuses a field, an account cannot be looked up, the test fails, or `output` has come to
            exist. Nothing is written then.
    """
    package = folder / "package.zip"
    try:
        save_bioimageio_package(describe(), output_path=package)
    except httpx.HTTPError as error:  # the format looks every github_user up
        raise RetinaJError(
            f"GitHub could not be asked whether the github_user of an author or maintainer exists: {error}. "
            "Package the model with a network, or take github_user out of the metadata."
        ) from error
    log("Testing the package with bioimageio.core in a fresh process …")
    try:
        result = check_package(package)
    except RetinaJError as error:
        raise RetinaJError(f"Nothing was written: {error}") from error
    log(f"bioimageio.core's test passed: {result.checks} checks in {result.seconds:.0f} s.")
    for warning in result.warnings:
        log(f"The zoo would like: {warning}")
    require_absent(output)
    with atomic_path(output) as temporary:
        shutil.copyfile(package, temporary)
    log(f"Wrote {output} ({output.stat().st_size / 1e6:.1f} MB).")
    return result

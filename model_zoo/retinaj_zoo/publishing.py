"""Handing a package in at the BioImage Model Zoo, with bioimageio.spec's own upload."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from retinaj.errors import RetinaJError

TOKEN_VARIABLE = "BIOIMAGEIO_HYPHA_UPLOAD_TOKEN"  # noqa: S105 - the name of it
_FAILED = 400  # HTTP status from which on something was refused

TOKEN_STEPS = (
    "Log in at https://bioimage.io, with GitHub or Google.",
    "Make a token at https://bioimage.io/#/api?tab=hypha-rpc. With it you agree to the terms at https://bioimage.io/#/toc.",
    f"Put it into the environment variable {TOKEN_VARIABLE} (or give it as --token) and run `retinaj publish` again.",
)


def page_steps(package: Path) -> tuple[str, ...]:
    """How to hand a package in on the zoo's web page, without a token."""
    return (
        "Open https://bioimage.io, choose Upload, and log in, with GitHub or Google.",
        f"Drop {package} on the page: the zip as it is.",
        "Look through what the page shows for review and editing, the maintainers above all. Leave the identifier to the zoo.",
        "Choose Validate, and hand it in. The zoo's team answers on the page and through the maintainers' GitHub accounts.",
    )


def upload_package(package: Path, token: str, log: Callable[[str], None]) -> str:
    """Upload a package as a new draft and ask the zoo's team to review it.

    It speaks with the server that bioimageio.spec is set to: the zoo's, unless BIOIMAGEIO_HYPHA_UPLOAD names another.

    Args:
        package: the zip, gone through with `retinaj_zoo.checklist.zoo_checklist` before.
        token: of the user, from https://bioimage.io.
        log: called with each line of progress.

    Returns:
        The address of the draft's description.

    Raises:
        RetinaJError: if the server cannot be reached, refuses the token or one of the files; the message says what is
            on the server by then.
    """
    from bioimageio.spec import InvalidDescr, load_description, settings, upload
    from bioimageio.spec.model import v0_5

    # The checklist has been gone through; what is left out here is to ask GitHub about the maintainers.
    description = load_description(package, perform_io_checks=False)
    if isinstance(description, InvalidDescr) or not isinstance(description, v0_5.ModelDescr):
        raise RetinaJError(f"{package} is not a valid model of format 0.5; nothing was sent. Package it again.")
    before = settings.hypha_upload_token
    with _watched_answers(log) as answers:
        try:
            settings.hypha_upload_token = token
            address = str(upload(description))
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise RetinaJError(f"The upload to {settings.hypha_upload} failed: {reason}. {answers.state()}") from error
        except (RuntimeError, ValueError) as error:  # no identifier in the answer, or an answer that is no JSON
            raise RetinaJError(f"{settings.hypha_upload} did not take the package: {error}. {answers.state()}") from error
        finally:
            settings.hypha_upload_token = before
    if answers.refused:
        raise RetinaJError(f"The server refused {', '.join(answers.refused)}. {answers.state()}")
    return address


class _Answers(logging.Handler):
    """Counts the answers in httpx's log: bioimageio.spec 0.5.12 does not look at those to the files and to the last call."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._log = log
        self.created = False
        self.files = 0
        self.refused: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        if len(arguments) != 5:  # method, address, protocol, status, reason: httpx's line about an answer
            return
        method, address, status = str(arguments[0]), httpx.URL(str(arguments[1])), int(str(arguments[3]))
        if status >= _FAILED:
            self.refused.append(f"{method} {address.path} ({status})")  # the path alone: the rest can hold a secret
        elif method == "PUT":
            self.files += 1
            self._log(f"Sent file {self.files}: {Path(address.path).name}")
        elif address.path.endswith("/create"):
            self.created = True

    def state(self) -> str:
        """What is on the server, and what to do."""
        if not self.created:
            return "Nothing is on the server. Check the network and the token, and run the command again."
        return (
            f"A draft with {self.files} files was made, but is not in review. Delete it at https://bioimage.io, under your "
            "uploads, and run the command again, or hand the package in on the page: `retinaj publish --by-hand`."
        )


@contextmanager
def _watched_answers(log: Callable[[str], None]) -> Generator[_Answers]:
    logger, answers = logging.getLogger("httpx"), _Answers(log)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(answers)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # addresses of files carry signatures, which belong into no log
    try:
        yield answers
    finally:
        logger.removeHandler(answers)
        logger.setLevel(level)
        logger.propagate = propagate

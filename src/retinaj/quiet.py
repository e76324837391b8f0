"""Libraries that write to the log what is said to the user in another way."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def silenced(library: str) -> Generator[None]:
    """Keep a library's logger quiet within the block.

    >>> with silenced("tifffile"):
    ...     logging.getLogger("tifffile").error("not shown")
    """
    logger = logging.getLogger(library)
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled

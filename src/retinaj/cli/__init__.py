"""The `retinaj` command: a file for each of its commands, put together in `app`."""

from __future__ import annotations

from retinaj.cli.app import app, main

__all__ = ["app", "main"]

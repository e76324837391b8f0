"""Calls what RetinaJ's Java keeps to its package, and shows its failures as RetinaJError."""

from __future__ import annotations

from typing import Any

import jpype

from retinaj.errors import RetinaJError
from retinaj_bridge.jvm import java_class


def call(class_name: str, method: str, *args: Any, on: Any = None) -> Any:
    """Call a method of a class in the package retinaj: a static one, or one of the object `on`.

    Raises:
        RetinaJError: with the message of a RetinaJException.
    """
    found = java_class("java.lang.Class").forName(f"retinaj.{class_name}")
    methods = [each for each in found.getDeclaredMethods() if str(each.getName()) == method]
    chosen = next(each for each in methods if int(each.getParameterCount()) == len(args))
    chosen.setAccessible(True)
    try:
        return chosen.invoke(on, list(args))
    except jpype.JException as error:
        cause = error.getCause()
        if cause is None or not str(cause.getClass().getName()) == "retinaj.RetinaJException":
            raise
        raise RetinaJError(str(cause.getMessage())) from error


def field(target: Any, name: str) -> Any:
    """The value of a field of an object."""
    found = target.getClass().getDeclaredField(name)
    found.setAccessible(True)
    return found.get(target)

"""The worker inside this process, for an ImageJ that Python hosts: the same commands talk to the same server."""

from __future__ import annotations

from retinaj_bridge.jvm import java_class
from retinaj_bridge.models import Models
from retinaj_bridge.server import Server
from retinaj_bridge.verbs import all_verbs

_server: Server | None = None


def serve_in_process(models: Models | None = None) -> Server:
    """Start the worker in this process, once, and tell the plugin in this process's Java where it listens.

    Args:
        models: where opened models are kept; default: a new place.
    """
    global _server
    if _server is None:
        _server = Server(all_verbs(models or Models()))
        _server.start()
    system = java_class("java.lang.System")
    system.setProperty("retinaj.worker.port", str(_server.port))
    system.setProperty("retinaj.worker.token", _server.token)
    return _server

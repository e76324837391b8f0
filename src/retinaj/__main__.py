"""The command `retinaj`, also as `python -m retinaj`."""

from __future__ import annotations

from retinaj.interruption import handle_interruptions


def main() -> None:
    """Run the command line."""
    handle_interruptions()
    from retinaj.cli import main as run  # takes a second, in which Ctrl-C must already work

    run()


if __name__ == "__main__":
    main()

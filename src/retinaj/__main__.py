"""`python -m retinaj`: the same as the command `retinaj`."""

from retinaj.cli import main

main()

"""`python -m m3hl` is `m3hl`."""

from m3hl.cli import main

main()

"""`python -m consumer.cli`, the same as `reeltag`."""

from consumer.cli import main

main(prog_name="reeltag")

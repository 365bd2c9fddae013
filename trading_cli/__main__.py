"""`python -m trading_cli` is the `trading` command."""

from trading_cli.entry import run

run()

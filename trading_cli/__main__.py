"""`python -m trading_cli` is the `trading` command."""

from trading_cli.main import run

run()

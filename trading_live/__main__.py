"""The node as a process of its own: ``python -m trading_live [--close-only]``; what ``trading paper`` runs."""

from __future__ import annotations

import os
import sys

from trading_assets.core.errors import TradingError
from trading_assets.features import LIVE_ENVIRONMENT
from trading_assets.settings import load_settings, logs
from trading_assets.settings.sections.kinds import only_asked
from trading_live.operations.interrupts import ends_quietly


def main() -> int:
    """Run the node with the settings in force; 2 after a problem that the user can mend."""
    os.environ.update(LIVE_ENVIRONMENT)
    try:
        with only_asked():
            settings = load_settings()
        logs.configure(settings, "node")
        from trading_live.node.node import run_node

        with ends_quietly():
            run_node(settings, close_only="--close-only" in sys.argv[1:])
    except TradingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

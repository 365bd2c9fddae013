"""The node as a process of its own: ``python -m trading_live [--close-only] [--i-accept-real-orders ACCOUNT]``."""

from __future__ import annotations

import os
import sys

from trading_assets.core.errors import TradingError
from trading_assets.core.unread import unread
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
        from trading_assets.models.estimators.trees import lightgbm
        from trading_live.node.node import run_node

        if not settings.plugins:
            lightgbm.import_alone()
        with unread(logs.dropped), ends_quietly():
            run_node(settings, close_only="--close-only" in sys.argv[1:], accepted=_accepted(sys.argv[1:]))
    except TradingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _accepted(arguments: list[str]) -> str | None:
    """The account that the command line accepts real orders for."""
    from trading_live.execution.permission import FLAG

    after = arguments[arguments.index(FLAG) + 1 :] if FLAG in arguments else []
    return after[0] if after else None


if __name__ == "__main__":
    raise SystemExit(main())

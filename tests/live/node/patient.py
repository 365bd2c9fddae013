"""The node as a process, on a machine that may be busy: no challenger is too slow, and no alert is left unsent."""

from __future__ import annotations

from trading_assets.alerts import desk
from trading_live import __main__ as program
from trading_live.node.decisions import shadow

if __name__ == "__main__":
    shadow._SLOW_S = desk._PATIENCE_S = 300.0  # type: ignore[misc]
    raise SystemExit(program.main())

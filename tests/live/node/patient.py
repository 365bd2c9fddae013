"""The node as a process, on a machine that may be busy: no challenger is set aside for the time that it takes."""

from __future__ import annotations

from trading_live import __main__ as program
from trading_live.node.decisions import shadow

if __name__ == "__main__":
    shadow._SLOW_S = 300.0  # type: ignore[misc]
    raise SystemExit(program.main())

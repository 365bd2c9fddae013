"""The node as a process, with a strategy by the clock: it enters once an hour, on the side that ``SCRIPTED_SIDE`` says.

In a mirrored world (``center - p``) barriers are as far in price as in the world that it mirrors.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from trading_assets.core.sides import Side
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import Signal
from trading_live import __main__ as program
from trading_live.node.decisions.signals import LiveSignals

CENTER = 400.0
RULE = EntryRule(min_edge_bps=-1e6, threshold=0.5)


_modelled = LiveSignals._signal


def scripted(self: LiveSignals, asked: Any, decision: Any) -> Signal | None:
    """What the clock says, on the bars that the model would have decided on."""
    said = _modelled(self, asked, decision)
    if said is None:
        return None
    side, close = Side.parse(os.environ["SCRIPTED_SIDE"]), asked.bar.close
    scale = 1.0 if side is Side.LONG else (CENTER - close) / close
    return replace(
        said,
        side=side,
        rule=RULE,
        probability=0.9 if said.ts.minute == 30 else 0.1,
        take_profit_pct=said.take_profit_pct * scale,
        stop_loss_pct=said.stop_loss_pct * scale,
    )


if __name__ == "__main__":
    LiveSignals._signal = scripted  # type: ignore[method-assign]
    raise SystemExit(program.main())

"""What holds a node's trading back, as its journal has it: also of a node that does not run."""

from __future__ import annotations

from pathlib import Path

from trading_assets.journal import JOURNAL_FILE, session_events
from trading_assets.strategies.protections import Change, change_of, held_after
from trading_assets.strategies.protections.account import MARKS
from trading_assets.strategies.protections.changes import KIND


def read_holds(live_dir: Path) -> tuple[Change, ...]:
    """The holds in force, the strictest first.

    Raises
    ------
    NodeError
        If the journal cannot be read.
    """
    rows = [row for _, row in session_events(live_dir / JOURNAL_FILE, (KIND,)) if row["cause"] not in MARKS]
    held = held_after({}, map(change_of, rows))
    return tuple(sorted(held.values(), key=lambda one: (-one.state, one.scope, one.cause)))

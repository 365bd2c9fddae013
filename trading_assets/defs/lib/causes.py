"""Who changes a model's status in a run, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

if TYPE_CHECKING:
    from trading_assets.registry import Cause

USER_TAG: Final = "trading/user"
"""On a run that a command started: by whom."""


def cause_of(run: dg.DagsterRun, reason: str, evidence: Mapping[str, Any] | None = None) -> Cause:
    """The cause of a change in a run, as the registry keeps it: the run, and the user where a command started it."""
    from trading_assets.registry import Cause

    user = run.tags.get(USER_TAG)
    by = f"dagster run {run.run_id}"
    return Cause(f"{user}, {by}" if user else by, reason, evidence or {})

"""One change of one state: what the journal holds, and all that a restarted node knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trading_assets.core.precision import significant
from trading_assets.strategies.protections.states import Scope, State
from trading_assets.strategies.protections.triggers import Reset

KIND: Final = "risk_states"
"""The journal's kind."""

PAUSED: Final = "paused"
"""The cause of a hold that a person asked for."""


@dataclass(frozen=True, slots=True)
class Change:
    """A scope is held back for a cause from now on, or no longer.

    Attributes
    ----------
    ts
        When, by the market's time, UTC.
    scope, cause
        What is held back, and why: at most one hold of a cause and scope is in force.
    state
        REDUCING or HALTED; RUNNING where the hold ends.
    value, limit
        What was measured, and the limit that it reached; None where a person wants it.
    until
        When it may end by itself at the earliest; None where a person ends it.
    reset_by
        Who is to end it (``auto``, ``person``), or who did.
    request
        The person's request that asked for it; empty for one that a limit made.
    """

    ts: datetime
    scope: Scope
    cause: str
    state: State
    value: float | None = None
    limit: float | None = None
    until: datetime | None = None
    reset_by: Reset = "auto"
    request: str = ""

    @property
    def key(self) -> tuple[Scope, str]:
        """What a later change of the same hold has in common with it."""
        return self.scope, self.cause

    @property
    def why(self) -> str:
        """The cause in words, with value and limit."""
        if self.value is None or self.limit is None:
            return self.cause
        return f"{self.cause} {significant(self.value, 4)} reached the limit {significant(self.limit, 4)}"

    @property
    def remedy(self) -> str:
        """How it ends."""
        if self.until is not None and self.reset_by == "auto":
            return f"ends by itself, not before {self.until:%Y-%m-%d %H:%M:%S} UTC; `{self.command}` ends it now"
        return f"`{self.command}` ends it"

    @property
    def command(self) -> str:
        """What a person types to end it."""
        named = "" if self.scope.kind == "node" else f" --{self.scope.kind} {self.scope.name}"
        return f"trading resume{named}"

    def __str__(self) -> str:
        """As it is told."""
        if self.state is State.RUNNING:
            return f"{self.scope}: {self.cause} ended ({self.reset_by})"
        return f"{self.scope} {self.state.word}: {self.why}; {self.remedy}"


def row_of(change: Change) -> dict[str, Any]:
    """As an event of the journal; a request is journalled once."""
    row: dict[str, Any] = {
        "ts": change.ts,
        "scope_kind": change.scope.kind,
        "scope": change.scope.name,
        "state": change.state.word,
        "cause": change.cause,
        "value": change.value,
        "limit_value": change.limit,
        "held_until": change.until,
        "reset_by": change.reset_by,
        "request": change.request,
    }
    return row


def change_of(row: Mapping[str, Any]) -> Change:
    """Read back what :func:`row_of` wrote."""
    return Change(
        ts=row["ts"],
        scope=Scope(row["scope_kind"], row["scope"]),
        cause=row["cause"],
        state=State.parse(row["state"]),
        value=row["value"],
        limit=row["limit_value"],
        until=row["held_until"],
        reset_by=row["reset_by"],
        request=row["request"] or "",
    )

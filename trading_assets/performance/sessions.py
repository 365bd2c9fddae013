"""The sessions of a journal that one account's history consists of, each market time once. Pure frames.

A session ends where the node is started for another venue, environment, mode or account, and where a replay begins
anew. The history of an account is all sessions of its place. Where a later one went through the same market time again,
as a replay does, it stands in place of what the earlier one made from there on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.journal import NODE
from trading_assets.journal.state import STARTED
from trading_assets.performance.periods import curve_of
from trading_assets.store.tables import ACCOUNT_EQUITY, FILLS, LIVE_TRADES, SIGNALS

type Events = Mapping[str, pl.DataFrame]

_TIMED: Final = (SIGNALS.name, FILLS.name, ACCOUNT_EQUITY.name)
_REPLAYED: Final = " replay"


@dataclass(frozen=True, slots=True)
class Session:
    """One session's events.

    Attributes
    ----------
    place
        Venue, environment, mode and account of its starts; empty where none was journalled.
    """

    events: Events

    @property
    def place(self) -> str:
        """Where it traded, as its newest start says."""
        starts = self.events[NODE].filter(event=STARTED)["detail"]
        return str(starts[-1]) if starts.len() else ""

    @property
    def begin(self) -> datetime | None:
        """The first market time of anything decided, filled or valued; None of an empty one."""
        found = [first for kind in _TIMED if (first := self.events[kind]["ts"].min()) is not None]
        return min(found) if found else None  # type: ignore[return-value]

    @property
    def continues_balance(self) -> bool:
        """Whether its account is one that goes on beyond a session: a venue's own; a simulated one begins anew."""
        return ", live" in self.place and _REPLAYED not in self.place


def told_once(sessions: Sequence[Session], trades: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Each session's closed trades: of a decision that several made the newest counts, and likewise of a time.

    Parameters
    ----------
    sessions, trades
        In the order of writing; each session's rows of ``live_trades``.
    """
    found = list[pl.DataFrame]()
    for number, (one, made) in enumerate(zip(sessions, trades, strict=True)):
        kept = _before(made, _until(one, sessions[number + 1 :]), "exit_ts")
        for later in trades[number + 1 :]:
            kept = kept.join(later.select("signal_id"), on="signal_id", how="anti")
        found.append(kept)
    return found


def history(
    sessions: Sequence[Session], trades: Sequence[pl.DataFrame], *, starting_balance: float
) -> tuple[pl.DataFrame, float, pl.DataFrame]:
    """The newest session's account over all sessions of its place.

    Parameters
    ----------
    sessions
        In the order of writing.
    trades
        Of :func:`told_once`.
    starting_balance
        Of an account that journalled no equity.

    Returns
    -------
    tuple
        Its trades, what it began with, and what it was worth over time. A simulated account that began anew goes on
        from what the one before had come to: its new balance is no result.
    """
    mine = [(one, made) for one, made in zip(sessions, trades, strict=True) if one.place == sessions[-1].place]
    start, worth, parts = starting_balance, None, list[pl.DataFrame]()
    for number, (one, closed) in enumerate(mine):
        until = _until(one, [later for later, _ in mine[number + 1 :]])
        minutes = _before(one.events[ACCOUNT_EQUITY.name], until)
        begun, curve = curve_of(minutes, closed, starting_balance=starting_balance)
        if curve.is_empty():
            continue
        shift = 0.0 if worth is None or one.continues_balance else worth - begun
        start = begun if worth is None else start
        worth = float(curve["equity"][-1]) + shift
        parts.append(curve.with_columns(pl.col("equity") + shift))
    no_trades = pl.DataFrame(schema=LIVE_TRADES.columns)
    no_curve = curve_of(pl.DataFrame(schema=ACCOUNT_EQUITY.columns), no_trades, starting_balance=start)[1]
    return pl.concat([no_trades, *(made for _, made in mine)]), start, pl.concat([no_curve, *parts])


def _until(session: Session, later: Iterable[Session]) -> datetime | None:
    """From when on another session of the place stands in for this one."""
    begins = [one.begin for one in later if one.place == session.place]
    return min((one for one in begins if one is not None), default=None)


def _before(frame: pl.DataFrame, until: datetime | None, column: str = "ts") -> pl.DataFrame:
    return frame if until is None else frame.filter(pl.col(column) < until)

"""The feature row of each decision, into the journal: what drift is measured on."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from trading_assets.core.sides import Side
from trading_assets.journal import EVENT_ID, BufferedJournal, pack_values
from trading_assets.models.decision import Decision
from trading_assets.store.tables import LIVE_FEATURES
from trading_assets.strategies.signals import ClosedBar
from trading_live.node.decisions.admission import ModelInUse


class FeatureRows:
    """Keeps what was decided on until the next heartbeat, and writes it then, with what else waits for the disk.

    A decision only adds to a list: no order waits for a row to be packed or written. A killed process loses the rows of
    its last second. While the journal cannot be written, rows are dropped: the room in memory is for what was done.

    Parameters
    ----------
    journal
        Takes them.
    keep
        Older ones are deleted from the journal, once a day.
    """

    def __init__(self, journal: BufferedJournal, *, keep: timedelta) -> None:
        self._journal = journal
        self._keep = keep
        self._decided: list[tuple[ClosedBar, ModelInUse, Decision]] = []
        self._tidied: date | None = None

    def add(self, bar: ClosedBar, model: ModelInUse, decision: Decision) -> None:
        """Keep a decision."""
        self._decided.append((bar, model, decision))

    def write(self) -> None:
        """Give the journal what was decided since the last time."""
        decided, self._decided = self._decided, []
        if not decided or self._journal.trouble is not None:
            return
        self._journal.put([(LIVE_FEATURES.name, row_of(*one)) for one in decided])
        self._tidy(max(bar.known_at for bar, _, _ in decided))

    def _tidy(self, now: datetime) -> None:
        if self._tidied != now.date():
            self._tidied = now.date()
            self._journal.forget(LIVE_FEATURES.name, now - self._keep)


def row_of(bar: ClosedBar, model: ModelInUse, decision: Decision) -> dict[str, Any]:
    """The event of a decision; recorded again, it is the same one."""
    deployed = model.deployed
    return {
        EVENT_ID: f"{deployed.model}-v{deployed.version}-{bar.market}-{bar.ts:%Y%m%dT%H%M}",
        "ts": bar.known_at,
        "market": bar.market,
        "timeframe": bar.timeframe,
        "bar_ts": bar.ts,
        "model": deployed.model,
        "model_version": deployed.version,
        "bundle_hash": deployed.bundle_hash,
        "probability_long": decision.probabilities.get(Side.LONG),
        "probability_short": decision.probabilities.get(Side.SHORT),
        "packed": pack_values(decision.row.of(model.bundle.features)),
    }

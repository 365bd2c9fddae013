"""The strategy's way into the journal: order events in bursts, and in a replay on the market's clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

type Events = Sequence[tuple[str, dict[str, Any]]]

_BURST: Final = timedelta(milliseconds=5)
_DECISIONS: Final = "signals"


class Timekeeper(Protocol):
    """What a strategy offers: the market's time, and the engine's clock."""

    @property
    def now(self) -> datetime | None:
        """The newest bar's end; None before the first one."""
        ...

    @property
    def clock(self) -> Any:
        """Calls back on the engine's thread."""
        ...


class Buffer(Protocol):
    """What a :class:`~trading_assets.journal.BufferedJournal` offers a strategy."""

    def record_all(self, events: Events) -> list[int]: ...  # noqa: D102
    def keep_all(self, events: Events) -> None: ...  # noqa: D102
    def put(self, events: Events) -> None: ...  # noqa: D102
    def flush(self) -> bool: ...  # noqa: D102


class StrategyJournal:
    """Writes what orders and positions did in one burst as one, a moment after the first event of it.

    A transaction takes as long as the disk does, for one event or for a hundred, and each entry brings nine: written
    one by one, the stop of the last of forty markets would wait for the events of all others. Decisions do not wait,
    nor does what must be durable before something is done on it; what waits goes before them, so the order stays. What
    a killed process had not written yet is missing at the end only, as if it had been killed a moment before.

    Parameters
    ----------
    journal
        Takes the events.
    market_time
        Of a replay: events are stamped with the market's time, so that they fit the candles. This is its time before
        the first bar; None leaves the stamps as they are.
    """

    def __init__(self, journal: Buffer, *, market_time: datetime | None = None) -> None:
        self._journal = journal
        self._market_time = market_time
        self._strategy: Timekeeper | None = None
        self._asked = False

    def follow(self, strategy: Timekeeper) -> None:
        """Take times and timers from a strategy; without one, every event is written at once."""
        self._strategy = strategy

    def record_all(self, events: Events) -> list[int]:
        """Write events as one, after those that wait; they are on disk when this returns."""
        return self._journal.record_all(self._stamped(events))

    def keep_all(self, events: Events) -> None:
        """Write decisions now, and what happened or was done a moment later."""
        if self._strategy is None or any(kind == _DECISIONS for kind, _ in events):
            self._journal.keep_all(self._stamped(events))
            return
        self._journal.put(self._stamped(events))
        if not self._asked:
            clock = self._strategy.clock
            clock.set_time_alert("journal", clock.utc_now() + _BURST, callback=self._write)
            self._asked = True

    def _write(self, _: object) -> None:
        self._asked = False
        self._journal.flush()

    def _stamped(self, events: Events) -> Events:
        if self._market_time is None:
            return events
        now = (self._strategy.now if self._strategy is not None else None) or self._market_time
        return [(kind, {**event, "ts": now}) for kind, event in events]

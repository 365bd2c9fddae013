"""What one ingest did, for people and for the graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from trading_assets.core.missing_candles import Gap

LONGEST_GAPS: Final = 5
"""How many missing ranges a report names."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one ingest did, and what the store holds in its window afterwards.

    Attributes
    ----------
    market, timeframe, source, synthetic
        What was fetched and from where; ``synthetic`` is true for made-up candles.
    start, end
        The window, cut at the last closed bar.
    rows
        Good candles fetched (written, or stored already with the same values).
    quarantined
        Rows fetched that broke a rule.
    reasons
        Reason -> number of quarantined rows.
    retries
        Requests that had to be repeated.
    stored
        Candles in the window now, those of earlier runs included.
    expected
        Candles that the window has room for.
    first, last
        Open times of the first and last stored candle of the window; None where there is none.
    gaps
        The longest missing ranges, longest first, at most ``LONGEST_GAPS``.
    gap_ranges
        How many missing ranges there are in all.
    revised
        Stored candles that the source now gave with other values.
    explained
        Reason -> number of missing candles; those that nobody looked into yet are ``unchecked``.
    streamed, streamed_differed
        Candles of the stream that the history was read for, and those of them that were streamed with other values.
    """

    market: str
    timeframe: str
    source: str
    synthetic: bool
    start: datetime
    end: datetime
    rows: int
    quarantined: int
    reasons: dict[str, int]
    retries: int
    stored: int
    expected: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[Gap, ...]
    gap_ranges: int
    revised: int = 0
    explained: dict[str, int] = field(default_factory=dict)
    streamed: int = 0
    streamed_differed: int = 0

    @property
    def missing(self) -> int:
        """Candles that the window has room for and that are not stored."""
        return self.expected - self.stored

    @property
    def gap_share(self) -> float:
        """Missing candles as a fraction of those expected; 0 for an empty window."""
        return self.missing / self.expected if self.expected else 0.0

    def __str__(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        text = (
            f"{self.market} {self.timeframe} from {label}{self.source}: {self.rows:,} candles fetched, "
            f"{self.stored:,} of {self.expected:,} stored"
        )
        if self.missing:
            found = ", ".join(f"{count:,} {reason}" for reason, count in self.explained.items())
            why = f" ({found})" if found else ""
            text += f", {self.missing:,} missing ({self.gap_share:.2%}) in {self.gap_ranges} ranges{why}"
        if self.revised:
            text += f", {self.revised:,} revised (old and new values are in candle_revisions)"
        if self.streamed:
            text += f", {self.streamed:,} had been streamed, {self.streamed_differed:,} of them with other values"
        if self.quarantined:
            text += f", {self.quarantined:,} quarantined"
        if self.retries:
            text += f", {self.retries} requests repeated"
        return text

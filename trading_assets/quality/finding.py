"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.core.candles import TS

NOTHING: Final = pl.DataFrame(schema={"ts": TS, "what": pl.String})
"""The bad rows of a check that found nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found in a stretch of candles.

    Attributes
    ----------
    rows
        One row per bad thing, the worst first: ``ts`` (when it begins), ``what`` (the value and the limit that it
        broke, for people) and the columns that were measured. Empty where all is well.
    good
        What to say where all is well.
    advice
        What to do about what was found, where that depends on it; empty where the check's own remedy holds.
    """

    rows: pl.DataFrame = field(default_factory=NOTHING.clone)
    good: str = "all candles keep the rule"
    advice: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing bad was found."""
        return self.rows.is_empty()

    def within(self, start: datetime, end: datetime) -> Finding:
        """The same with only those bad rows that lie in ``[start, end)``; those with an ``end`` touch it."""
        touches = pl.col("end") >= start if "end" in self.rows.columns else pl.col("ts") >= start
        return Finding(self.rows.filter(touches & (pl.col("ts") < end)), self.good, self.advice)

    def summary(self) -> str:
        """One line: the bad thing, or how many there are and the worst of them; empty where all is well."""
        if self.passed:
            return ""
        worst = str(self.rows["what"][0])
        return worst if self.rows.height == 1 else f"{self.rows.height:,} times, worst: {worst}"

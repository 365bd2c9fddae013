"""The seat of a label: what happened after a bar, on each side, and on which bars that is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins import version_of
from trading_assets.core.sides import Side
from trading_assets.labels.barrier_distances import scale_lookback, widths
from trading_assets.settings import LabelSettings
from trading_assets.settings.sections.labels import LABELS as KINDS
from trading_assets.store.tables import LABELS

SAID_BY_THE_SET = ("label_set", "timeframe")
"""Columns of the table that a label need not fill."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one market.

    Attributes
    ----------
    bars
        Of the label set's timeframe, ascending: ``market, ts, known_at``, OHLCV; first those that a label looks back
        on.
    candles, candle_timeframe
        The finest ones, from the first bar that is labelled on.
    until
        Up to when bars and candles are complete.
    turn
        By how many bars what a label says of where it decides is moved in time, the end of it to the beginning: of
        worlds alone in which nothing may be found (:mod:`trading_assets.placebo`).
    """

    bars: pl.DataFrame
    candles: pl.DataFrame
    candle_timeframe: str
    until: datetime
    turn: int = 0


class Label[S: LabelSettings](ABC):
    """What happened after a bar.

    A row depends on the bars and candles up to its ``label_end`` alone, which comes with the horizon's end or before.

    Parameters
    ----------
    settings
        Its section of the settings.
    """

    section: type[LabelSettings]
    """Of its parameters; the default of ``kind`` is its name."""

    follows_candles: ClassVar[bool] = False
    """Whether an outcome is looked for on the finest candles; else it is read from bars alone."""

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @classmethod
    def kind(cls) -> str:
        """The name by which settings choose it."""
        return str(cls.section.model_fields["kind"].default)

    @property
    def lookback_bars(self) -> int:
        """Bars, the current one included, that barriers and :meth:`decides` depend on."""
        return scale_lookback(self.settings)

    def decides(self, bars: pl.DataFrame) -> pl.Series | None:
        """On which side of each bar there is something to decide: 1 long, -1 short, 0 neither (Int8); None for both.

        Backtest and node ask it as training does, so it is said from what was known when the bar closed: from the
        newest ``lookback_bars`` bars alone.
        """
        return None

    def decided(self, known: Known) -> pl.Series | None:
        """What :meth:`decides` says of the bars, moved in time where that is asked."""
        said = self.decides(known.bars)
        if said is None or not known.turn:
            return said
        return pl.concat([said.tail(known.turn), said.head(said.len() - known.turn)])

    @abstractmethod
    def rows(self, known: Known, sides: Sequence[Side]) -> pl.DataFrame:
        """The outcome of each bar whose horizon ends by ``known.until``, on each side.

        Returns
        -------
        polars.DataFrame
            Rows of the ``labels`` table without :data:`SAID_BY_THE_SET`; :func:`paid` makes them of a return.
        """

    def version(self) -> str:
        """Which code makes it: the hash of the file that it is written in."""
        return version_of(type(self), KINDS.owner_of(self.section))


def paid(returns: pl.DataFrame, known: Known, settings: LabelSettings, sides: Sequence[Side]) -> pl.DataFrame:
    """Rows of a label that is a return: 1 where the side earned more than its costs, else -1.

    Parameters
    ----------
    returns
        ``market, ts, known_at, label_end``, ``return``: what a long trade earned before costs, as a fraction, and
        ``bars``, how long that took. A short one earned the opposite.
    known, settings, sides
        As for :meth:`Label.rows`. The barriers are those that a trade on it has; a bar without them has no row.
    """
    if settings.barriers == "plan":
        raise SettingsError(
            f"a return of the kind {settings.kind} is not the outcome of an exit plan",
            where="label set",
            remedy="leave `barriers: plan` out; models may name the plan that they trade by",
        )
    entered = known.bars.select("ts", entry_price="close").hstack(widths(known.bars, settings))
    rows = returns.join(entered, on="ts", maintain_order="left").filter(pl.col("take_profit").is_not_null())
    return pl.concat(_of_side(rows, side, settings) for side in sides).sort("ts", maintain_order=True)


def _of_side(rows: pl.DataFrame, side: Side, settings: LabelSettings) -> pl.DataFrame:
    earned = pl.col("return") * int(side) - settings.costs
    return rows.with_columns(
        side=pl.lit(int(side)),
        barrier=pl.lit("time"),
        bars_to_hit="bars",
        label=pl.when(earned > 0).then(1).otherwise(-1),
        ambiguous=pl.lit(value=False),
        resolution=pl.lit(settings.timeframe.name),
        missing_candles=pl.lit(None),
        **{"return": earned},
    ).select(pl.col(name).cast(dtype) for name, dtype in LABELS.columns.items() if name not in SAID_BY_THE_SET)

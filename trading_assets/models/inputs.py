"""What a model reads: its features, and what else they ask for, refused where nothing of it is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.timeframes import Timeframe

_REMEDIES: Final = {
    "leader": "run trading backfill of the leader and of this market",
    "second_exchange": "run trading backfill of the market's `second_exchange`, then of this market",
    "funding": "check `funding` of the market in the settings and run trading backfill of it",
    "sentiment": "materialize sentiment, then features of this market",
    "book": "record order books (trading record), load them, and materialize features of this market",
    "trades": "record public trades (trading record), load them, and materialize features of this market",
}


@dataclass(frozen=True, slots=True)
class PartlyMissing:
    """A companion that was not known for all rows of a market.

    Attributes
    ----------
    companion, market
        What is missing, and of which market.
    share
        The share of the market's rows in which at least one of the companion's features is null.
    """

    companion: str
    market: str
    share: float

    def __str__(self) -> str:
        return f"{self.market}: {self.companion} is missing in {self.share:.1%} of the rows"


def usable_names(
    companions: Collection[str] = (),
    *,
    timeframe: Timeframe,
    chosen: Sequence[str] = (),
    plugins: Owners | None = None,
) -> list[str]:
    """The features that a model learns from: of those chosen, those of bars and of the companions that it names.

    Raises
    ------
    SettingsError
        A name, family or pattern means no feature of the timeframe.
    """
    from trading_assets.features import feature_names, required_companions

    names = feature_names(timeframe, chosen or None, plugins)
    return [name for name in names if set(required_companions([name], plugins)) <= set(companions)]


def missing_inputs(
    features: pl.DataFrame,
    markets: Sequence[str],
    companions: Collection[str],
    *,
    names: Sequence[str],
    leader: str | None = None,
    plugins: Owners | None = None,
) -> tuple[PartlyMissing, ...]:
    """What is missing of the companions that a model names.

    Parameters
    ----------
    features
        Stored features of the model's markets.
    markets
        The model's markets.
    companions
        Those that the model names.
    names
        The features that the model learns from.
    leader
        The leading market: it has no leader itself.
    plugins
        Whose features there are beside the project's own.

    Raises
    ------
    ModelError
        If a market has rows, and in none of them a feature of a companion is known, or none of the features that were
        chosen reads it: a model would train without it.
    """
    from trading_assets.features import required_companions

    found: list[PartlyMissing] = []
    for companion in companions:
        read = [name for name in names if companion in required_companions([name], plugins)]
        if not read:
            raise ModelError(
                f"{companion} is among the model's companions, and none of its features reads it",
                where=", ".join(markets),
                remedy=f"name the family {companion} under the model's `features`, or leave {companion} out of "
                "`companions`",
            )
        for market, rows in _rows_of(features, [one for one in markets if companion != "leader" or one != leader]):
            absent = [name for name in read if name not in rows.columns or rows[name].is_null().all()]
            if absent:
                raise ModelError(
                    f"{companion} is among the model's companions, and none is stored: {absent[0]} is empty "
                    f"in all {rows.height:,} rows",
                    where=market,
                    remedy=f"{_REMEDIES[companion]}, or leave {companion} out of `companions`",
                )
            share = rows.select(pl.any_horizontal(pl.col(read).is_null()).mean()).item()
            if share:
                found.append(PartlyMissing(companion, market, share))
    return tuple(found)


def _rows_of(features: pl.DataFrame, markets: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    for market in markets:
        rows = features.filter(pl.col("market") == market)
        if rows.height:
            yield market, rows

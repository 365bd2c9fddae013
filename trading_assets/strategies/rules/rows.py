"""What a rule wants on each bar, as rows beside the outcomes that followed: what its record is taken from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from trading_assets.labels import lookback_bars
from trading_assets.models import dataset
from trading_assets.models.dataset import OUTCOME, Dataset
from trading_assets.models.record import WANTED
from trading_assets.models.steps import Steps, stored_bars, stored_steps
from trading_assets.settings import LabelSettings, RuleStrategySettings
from trading_assets.store import Store
from trading_assets.store.tables import BARS, LABELS
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rule_strategy import RuleStrategy
from trading_assets.strategies.rules.registry import rule_of

_KEYS: Final = ("market", "ts", "known_at")
_DOUBTS: Final = ("resolution", "missing_candles", "ambiguous")


def rule_rows(bars: pl.DataFrame, rule: Rule[Any]) -> pl.DataFrame:
    """What a rule wants on each bar of one market.

    Parameters
    ----------
    bars
        ``market``, ``ts``, ``known_at`` and OHLCV, ascending.

    Returns
    -------
    pl.DataFrame
        ``market``, ``ts``, ``known_at`` and ``wanted`` (Float64): a row for each bar from the ``lookback_bars``-th on.
    """
    return bars.select(*_KEYS, RuleStrategy(rule, {}).wanted(bars))[rule.lookback_bars - 1 :]


def join(
    bars: Sequence[pl.DataFrame], labels: pl.DataFrame, spec: RuleStrategySettings, settings: LabelSettings
) -> Dataset:
    """The data set of a rule: what it wants on the bars of each market, and what became of a trade.

    Parameters
    ----------
    bars
        Of one market each.
    labels
        Rows of the table ``labels``.
    settings
        The label set.
    """
    rule = rule_of(spec.rule)
    made = dataset.join(
        pl.concat(rule_rows(one, rule) for one in bars),
        labels,
        names=[WANTED],
        fingerprint=rule.fingerprint(),
        markets=spec.markets,
        drop_ambiguous=settings.ambiguous == "drop",
    )
    return replace(made, plan_cost=settings.plan_cost)


@dataclass(frozen=True, slots=True)
class StoredRows:
    """What is stored of a rule's markets, whatever the rule's parameters: a search joins it again and again.

    Attributes
    ----------
    bars
        Of one market each.
    labels
        Of the rule's label set and sides.
    steps, opens
        Steps of the price level, and the opens of the bars of the markets that have any.
    until
        Nothing that was not known then is taken.
    settings
        The label set.
    """

    bars: Sequence[pl.DataFrame]
    labels: pl.DataFrame
    steps: Steps
    opens: Mapping[str, pl.Series]
    until: datetime | None
    settings: LabelSettings

    def of(self, spec: RuleStrategySettings) -> Dataset:
        """The data set of the rule with the parameters that a model gives it.

        Raises
        ------
        ModelError
            If a market has no labelled rows, or all look across a step.
        """
        made = join(self.bars, self.labels, spec, self.settings)
        if self.steps:
            reach = max(rule_of(spec.rule).lookback_bars, lookback_bars(self.settings))
            made = dataset.apart_from(made, self.steps, self.opens, lookback=reach)
        return made if self.until is None else made.known_by(self.until)


def read(
    store: Store,
    spec: RuleStrategySettings,
    labels: LabelSettings,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    events: Steps = MappingProxyType({}),
    min_step: float = 1.5,
) -> StoredRows:
    """Read what the data sets of a rule are made of; see :func:`trading_assets.models.dataset.build`."""
    timeframe = labels.timeframe
    bars = [store.read(BARS[timeframe.name], where={"market": market}, start=since) for market in spec.markets]
    if until is not None:
        bars = [one.filter(pl.col("known_at") <= until) for one in bars]
    where = {"market": spec.markets, "label_set": spec.label, "timeframe": timeframe.name}
    stored = store.read(LABELS, where=where, start=since, columns=[*_KEYS, "side", *OUTCOME, *_DOUBTS])
    stored = stored.filter(pl.col("side").is_in([int(side) for side in spec.sides]))
    steps = stored_steps(store, spec.markets, events, min_factor=min_step)
    return StoredRows(bars, stored, steps, stored_bars(store, steps, timeframe), until, labels)


def build(store: Store, spec: RuleStrategySettings, labels: LabelSettings, *, since: datetime | None = None) -> Dataset:
    """Join what a rule wants on stored bars with the stored labels; see :meth:`StoredRows.of`."""
    return read(store, spec, labels, since=since).of(spec)

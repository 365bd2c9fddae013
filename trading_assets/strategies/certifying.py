"""The parity certificate of any bundle: a rule's is made on what it wants, a model's on its features."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models import Bundle, parity
from trading_assets.models.certificates import BARRIERS, Certificate
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, LABELS
from trading_assets.strategies.decisions import bars_needed, decide, rule_strategy
from trading_assets.strategies.rules.rows import rule_rows


def certify_stored(bundle: Bundle, store: Store, *, bars: int, leader: str | None = None) -> Certificate:
    """Certify a bundle on the newest ``bars`` stored bars of each of its markets.

    Of a rule, what it wants with all of the history before it is compared with what it wants as the node asks it, of
    its look-back alone; with it the probabilities and the barriers. See :func:`trading_assets.models.parity.certify`.
    """
    strategy = rule_strategy(bundle)
    if strategy is None:
        return parity.certify_stored(bundle, store, bars=bars, leader=leader)
    needed, wanted, held, labels = bars_needed(bundle), [], [], []
    for market in bundle.markets:
        whole = store.read(BARS[bundle.labels.timeframe.name], where={"market": market})
        newest = rule_rows(whole, strategy.rule).tail(min(bars, whole.height - needed + 1))
        if newest.is_empty():
            raise ModelError(
                f"{whole.height:,} bars are stored, and the rule needs {needed:,}",
                where=market,
                remedy="backfill more of it",
            )
        wanted.append(newest)
        held.append(whole.tail(newest.height + needed - 1))
        labels.append(_barriers(bundle, store, market, newest["ts"][0]))
    return parity.certify(
        bundle,
        pl.concat(wanted),
        pl.concat(held),
        pl.concat(labels),
        ask=partial(decide, bundle),
        lookback=needed,
    )


def _barriers(bundle: Bundle, store: Store, market: str, start: datetime) -> pl.DataFrame:
    where: dict[str, str | int] = {
        "market": market,
        "timeframe": bundle.labels.timeframe.name,
        "label_set": bundle.spec.label,
        "side": int(bundle.sides[0]),
    }
    return store.read(LABELS, where=where, start=start, columns=["market", "ts", *BARRIERS])

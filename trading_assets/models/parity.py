"""The parity certificate: a model decides on stored bars as the node will, and gets what the research saw.

Training and backtest read the table ``features``; the node computes a row from the bars that it holds. The certificate
repeats the node's decision on the newest stored bars and compares features, probability and barriers with the tables.
Without a passed certificate a model is neither approved nor deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from trading_assets import features
from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.features.proofs import divergences
from trading_assets.labels import decides, lookback_bars, unit_lookback, units
from trading_assets.models.bundle import Bundle
from trading_assets.models.certificates import BARRIERS, UNIT, Certificate, Compared, Divergence
from trading_assets.models.decision import Companions, Compute, Decision, bars_needed, decide
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, FEATURES, LABELS

_KEYS: Final = ("market", "ts", "known_at")
_TIMES: Final = ["ts", "known_at"]

type Ask = Callable[[pl.DataFrame, Companions], Decision]
"""(bars held of one market, companions) -> the node's decision on the last of them."""


def certify(
    bundle: Bundle,
    stored: pl.DataFrame,
    bars: pl.DataFrame,
    labels: pl.DataFrame | None = None,
    *,
    companions: Mapping[str, Companions] | None = None,
    compute: Compute | None = None,
    ask: Ask | None = None,
    lookback: int | None = None,
) -> Certificate:
    """Decide on every bar of ``stored`` from the ``lookback`` bars that end with it, and compare.

    Features agree where they differ by at most 1e-9 (:data:`divergences.TOLERANCE`), barriers
    likewise; probabilities where they are equal to the last bit, or to the tolerance that the estimator declares. Of a
    label set that does not decide on every bar and side, the bars and sides must be the same.

    Parameters
    ----------
    bundle
        The model.
    stored
        Rows of the table ``features`` of all its markets, ascending in each. Of a model that reads several rows, the
        first ones of a market are only read.
    bars
        Bars of these markets, ascending in each, from ``lookback - 1`` before the first stored row on.
    labels
        Rows of the table ``labels``: barriers are compared where a bar has one.
    companions
        By market, what features read beside the bars; each bar gets what was known when it closed.
    compute, lookback
        What computes the features, and how many bars a decision looks back on; by default those of the model.
    ask
        What decides as the node does; by default :func:`trading_assets.models.decision.decide`.

    Raises
    ------
    ModelError
        If a market has no stored rows, or bars or rows are missing between others.
    """
    ask = ask or partial(decide, bundle, compute=compute)
    lookback = lookback or bars_needed(bundle) - bundle.lookback_rows + 1
    found: list[Divergence] = []
    compared: dict[str, Compared] = {}
    for market in bundle.markets:
        mine = pl.col("market") == market
        rows, held = stored.filter(mine), bars.filter(mine)
        _check_complete(market, rows, held, lookback, bundle.lookback_rows - 1)
        live = _replayed(bundle, rows, held, (companions or {}).get(market, {}), ask, lookback)
        found += _differences(market, _as_researched(bundle, rows, held, labels, live), live, bundle)
        compared[market] = Compared(bars=live.height, first=live["ts"][0], last=live["ts"][-1])
    further = (*_probabilities(bundle), *BARRIERS, *_unit(bundle))
    order = {name: place for place, name in enumerate((*bundle.features, *further))}
    return Certificate(
        bundle_hash=bundle.bundle_hash,
        markets=compared,
        columns=len(order),
        divergence=min(found, key=lambda one: (one.ts, one.market, order[one.column]), default=None),
        made_at=datetime.now(UTC),
        tolerance=bundle.tolerance,
    )


def certify_stored(bundle: Bundle, store: Store, *, bars: int, leader: str | None = None) -> Certificate:
    """Certify a model on the newest ``bars`` stored feature rows of each of its markets; see :func:`certify`.

    The certificate gives the model what a node holds beside bars, from the tables: the bars of ``leader``, funding,
    sentiment, order books and trades; of a second exchange a node holds nothing.
    """
    read = features.required_companions(bundle.features, bundle.plugins)
    led = leader if "leader" in read else None
    tails = [_tail(store, bundle, market, bars + bundle.lookback_rows - 1) for market in bundle.markets]
    rows, held, labels = (pl.concat(parts) for parts in zip(*tails, strict=True))
    held_beside = [name for name in read if name != "second_exchange"]
    companions = {
        one["market"][0]: read_companions(
            store,
            one["market"][0],
            timeframe=bundle.labels.timeframe,
            start=one["ts"][0],
            end=one["known_at"][-1],
            leader=led,
            names=held_beside,
        )
        for _, one, _ in tails
    }
    return certify(bundle, rows, held, labels, companions=companions).model_copy(update={"leader": led})


def _tail(store: Store, bundle: Bundle, market: str, rows: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The newest feature rows of a market, the bars that they came from, and their labels' barriers."""
    timeframe = bundle.labels.timeframe
    where, table = {"market": market}, BARS[timeframe.name]
    made = {**where, "timeframe": timeframe.name}
    known = store.bounds(FEATURES, where=made)
    if known is None:
        raise ModelError("no features are stored", where=market, remedy="materialize features of this market")
    stored = store.tail(FEATURES, where=made, before=known[1] + timedelta(days=1), rows=rows)
    within = store.read(table, where=where, start=stored["ts"][0]).filter(pl.col("ts") <= known[1])
    read = features.lookback_bars(timeframe, plugins=bundle.plugins)
    held = max(read, lookback_bars(bundle.labels), unit_lookback(bundle.spec.exit_plan))
    before = store.tail(table, where=where, before=stored["ts"][0], rows=held - 1)
    labelled: dict[str, str | int] = {
        **made,
        "label_set": bundle.spec.label,
        "side": int(bundle.sides[0]),
    }  # all sides have the same
    labels = store.read(LABELS, where=labelled, start=stored["ts"][0], columns=["market", "ts", *BARRIERS])
    return stored, pl.concat([before, within]), labels


def _check_complete(market: str, rows: pl.DataFrame, held: pl.DataFrame, lookback: int, further: int) -> None:
    """Refuse where a bar has no feature row, a row has no bar, or the first one has too short a past."""
    if rows.height <= further:
        raise ModelError("no stored features to compare", where=market, remedy="materialize features of this market")
    since = rows["ts"][0]
    within = held.filter(pl.col("ts").is_between(since, rows["ts"][-1]))
    lone = within.join(rows, on=_TIMES, how="anti"), rows.join(within, on=_TIMES, how="anti")
    for frame, lacking, asset in zip(lone, ("stored features", "bars"), ("features", "bars"), strict=True):
        if frame.height:
            raise ModelError(
                f"{lacking} are missing at {frame.height} of {max(rows.height, within.height)} bars, "
                f"first at {frame['ts'].sort()[0]:%Y-%m-%d %H:%M}",
                where=market,
                remedy=f"materialize {asset} of this market (trading gaps tells where candles are missing)",
            )
    past = held.filter(pl.col("ts") < since).height
    if past < lookback - 1:
        raise ModelError(
            f"bars are missing: {past:,} before {since:%Y-%m-%d %H:%M}, and the features look back on {lookback - 1:,}",
            where=market,
            remedy="materialize bars of the months before, or lower gates.parity_bars",
        )


def _replayed(
    bundle: Bundle, rows: pl.DataFrame, bars: pl.DataFrame, companions: Companions, ask: Ask, lookback: int
) -> pl.DataFrame:
    """The node's decisions: ``_KEYS``, the model's features, ``probability`` and the barriers, a row per bar."""
    further, decisions = bundle.lookback_rows - 1, []
    for end in range(bars.height - rows.height + further + 1, bars.height + 1):
        held = bars[end - lookback - further : end]
        known = {name: frame.filter(pl.col("known_at") <= held["known_at"][-1]) for name, frame in companions.items()}
        decisions.append(ask(held, known))
    return pl.concat(one.features for one in decisions).select(
        *_KEYS,
        *bundle.features,
        **{
            name: pl.Series([one.probabilities.get(side) for one in decisions], dtype=pl.Float64)
            for name, side in _probabilities(bundle).items()
        },
        take_profit=pl.Series([one.take_profit for one in decisions], dtype=pl.Float64),
        stop_loss=pl.Series([one.stop_loss for one in decisions], dtype=pl.Float64),
        **{name: pl.Series([one.unit for one in decisions], dtype=pl.Float64) for name in _unit(bundle)},
    )


def _as_researched(
    bundle: Bundle, rows: pl.DataFrame, bars: pl.DataFrame, labels: pl.DataFrame | None, live: pl.DataFrame
) -> pl.DataFrame:
    """The same columns from the tables; a bar that has no label yet takes the node's barriers, so they are equal."""
    compared = rows[bundle.lookback_rows - 1 :]
    frame = compared.select(*_KEYS, *(pl.col(name).cast(pl.Float64) for name in bundle.features))
    said = pl.DataFrame(
        [bundle.predict(compared, side, history=rows).alias(name) for name, side in _probabilities(bundle).items()]
    )
    if (decided := decides(bars, bundle.labels)) is not None:
        decided = decided.filter(bars["ts"].is_between(compared["ts"][0], compared["ts"][-1]))
        said = said.select(
            pl.when(decided[side.word]).then(pl.col(name)).alias(name) for name, side in _probabilities(bundle).items()
        )
    frame = frame.hstack([*said, *live.select(BARRIERS)])
    if bundle.spec.exit_plan is not None:
        known = bars.select("ts", units(bars, bundle.spec.exit_plan))
        frame = frame.join(known, on="ts", how="left", maintain_order="left")
    if labels is None or labels.is_empty():
        return frame
    return frame.update(labels.select("market", "ts", *BARRIERS), on=["market", "ts"], how="left")


def _unit(bundle: Bundle) -> tuple[str, ...]:
    """The column of what the exit plan's distances are worth, where the model names one."""
    return () if bundle.spec.exit_plan is None else (UNIT,)


def _probabilities(bundle: Bundle) -> dict[str, Side]:
    """Column -> the side whose probability it is."""
    names = {Side.LONG: "probability", Side.SHORT: "probability_short"}
    return {names[side]: side for side in bundle.sides}


def _differences(market: str, stored: pl.DataFrame, live: pl.DataFrame, bundle: Bundle) -> list[Divergence]:
    """The first bar of each column in which the two differ."""
    names, tolerance = tuple(_probabilities(bundle)), bundle.tolerance
    found = [
        Divergence(market=market, ts=one.ts, column=one.feature, stored=one.value, live=one.other)
        for one in divergences.different(stored.drop(names), live.drop(names))
        if one.ts is not None
    ]
    near = ((pl.col("stored") - pl.col("live")).abs() <= tolerance).fill_null(value=False)
    apart = pl.col("stored").ne_missing(pl.col("live")) & ~near
    for name in names:
        both = stored.select(*_KEYS, stored=name).with_columns(live[name].alias("live"))
        first = both.filter(apart).head(1).drop("known_at")
        found += [Divergence(column=name, **row) for row in first.iter_rows(named=True)]
    return found

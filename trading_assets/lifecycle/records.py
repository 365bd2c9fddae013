"""Daily returns of a version, out of sample: of its walk-forward, and of its bundle on days after its training."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import polars as pl

from trading_assets.backtest.metrics import daily_returns
from trading_assets.backtest.stored import trade
from trading_assets.core.errors import ModelError
from trading_assets.models import Bundle, bundle
from trading_assets.registry import ModelVersion
from trading_assets.settings import ModelSettings, Settings
from trading_assets.settings.days import midnight
from trading_assets.store.contract import Store
from trading_assets.store.tables import FEATURES, PREDICTIONS, TRIAL_RETURNS

_DAY = timedelta(days=1)


def walk_forward_returns(store: Store, model: str, version: int) -> pl.DataFrame:
    """``ts, return``: the days of a version's backtest, each of which its walk-forward predicted unseen."""
    return store.read(TRIAL_RETURNS, where={"model": model, "version": version}, columns=["ts", "return"])


def returns_since_training(store: Store, settings: Settings, version: ModelVersion, *, after: datetime) -> pl.DataFrame:
    """``ts, return``: what a version's bundle, as it is, would have earned on the days that came after its training.

    It decides on the bars that the newest walk-forward of its model predicted, with its own rule of entry, under
    today's costs, capital and limits. The first day is the first whole one that begins an embargo after the last
    outcome of its training could be known.

    Parameters
    ----------
    after
        A day that is known already, as are those before it.

    Raises
    ------
    ModelError
        If it cannot be traded on these bars: the text says why.
    """
    held = bundle.load(version.bundle_path, expected_hash=version.bundle_hash, plugins=settings.plugged)
    _check_tradable(held, settings)
    rows = store.read(PREDICTIONS, where={"model": version.name})
    rows = rows.filter(pl.col("side").is_in([int(side) for side in held.sides]), pl.col("market").is_in(held.markets))
    if missing := sorted(set(held.markets) - set(rows["market"])):
        raise ModelError(f"no newer bar of {', '.join(missing)} was predicted")
    horizon = (rows["label_end"] - rows["known_at"]).max()
    assert isinstance(horizon, timedelta)
    begin = version.train_end + horizon + timedelta(days=held.spec.walk_forward.embargo_days)
    begin = max(_next_midnight(begin), after + _DAY)
    rows = rows.filter(pl.col("known_at") >= begin)
    if rows.is_empty():
        raise ModelError(f"no bar after {begin:%Y-%m-%d} was predicted")
    predicted = _predicted(held, rows, store)
    result = trade(predicted, settings, store, model=version.name, version=version.version, spec=held.spec)
    returns = daily_returns(result.equity["equity"].to_list(), settings.simulation.starting_balance)
    return pl.DataFrame({"ts": result.equity["ts"], "return": returns}).filter(pl.col("ts") >= begin)


def _check_tradable(held: Bundle, settings: Settings) -> None:
    """Refuse a version whose decisions on today's rows would not be those that it was trained for."""
    from trading_assets.features import fingerprint

    if not isinstance(held.spec, ModelSettings):
        raise ModelError("a rule decides as it did: its walk-forward says it all")
    if held.labels != settings.labels_of(held.model):
        raise ModelError("its label set is another than today's")
    held.check_code(partial(fingerprint, plugins=settings.plugged)(held.features))


def _predicted(held: Bundle, rows: pl.DataFrame, store: Store) -> pl.DataFrame:
    """The rows with the bundle's own probabilities; bars without its features are left out."""
    timeframe = held.labels.timeframe
    where = {"market": list(held.markets), "timeframe": timeframe.name}
    back = timeframe.length * 2 * (held.lookback_rows - 1)  # twice: a few bars may be missing
    columns = ["market", "ts", *held.features]
    first = rows["ts"].min()
    assert isinstance(first, datetime)
    features = store.read(FEATURES, where=where, start=first - back, columns=columns)
    parts = []
    for side in held.sides:
        joined = rows.filter(side=int(side)).join(features, on=["market", "ts"], how="inner", maintain_order="left")
        history = features if held.lookback_rows > 1 else None
        parts.append(joined.select(rows.columns).with_columns(*held.classifiers[side].answers(joined, history)))
    return pl.concat(parts).sort("market", "ts", "side", descending=[False, False, True])


def _next_midnight(moment: datetime) -> datetime:
    """The moment itself, where it is one."""
    begin = midnight(moment.date())
    return begin if begin == moment else begin + _DAY

"""Champion and challengers side by side, from what they said in shadow on the same bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from trading_assets.backtest.metrics import daily_returns
from trading_assets.backtest.shadow import KEY, Contender, answers_of, hypothetical, with_candles
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import TradingError
from trading_assets.costs.funding import stored_payments
from trading_assets.journal import HASH_DIGITS
from trading_assets.labels import unit_lookback
from trading_assets.models import bundle
from trading_assets.registry import DeployedModel, read_manifest
from trading_assets.settings import Settings
from trading_assets.settings.sections.promotion import PromotionSettings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CHALLENGERS, SHADOW_EQUITY, SHADOW_SIGNALS, SHADOW_TRADES
from trading_assets.strategies.risk.past import past_needed
from trading_assets.validation import OF_DAILY_RETURNS, confidence_intervals
from trading_assets.validation.bootstrap import MIN_OBSERVATIONS
from trading_assets.validation.paired import compare_returns


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """What a version said in shadow, and what would have come of it.

    Attributes
    ----------
    contender, is_champion
        Who; and whether it is the version that trades.
    first, last
        The first bar that it decided on, and the end of the last one; None before.
    decisions, entries
        How many bars it answered on, and would have entered on.
    result
        Its hypothetical account on all of its bars; None where it could not be traded.
    common_days, champion_return, better
        UTC days on which both it and the champion answered; the champion's return on the bars that both did; and the
        probability that this version is the better one, None below ten days or for the champion.
    note
        Why something is missing.
    """

    contender: Contender
    is_champion: bool
    first: datetime | None
    last: datetime | None
    decisions: int
    entries: int
    result: BacktestResult | None
    common_days: int = 0
    champion_return: float | None = None
    better: float | None = None
    note: str = ""

    @property
    def days(self) -> float:
        """From the first bar to the end of the last one."""
        if self.first is None or self.last is None:
            return 0.0
        return (self.last - self.first).total_seconds() / 86_400


def compare_in_shadow(settings: Settings, store: Store, model: str) -> list[ShadowRecord]:
    """The version that trades and those beside it that the deployment manifest names, in this order.

    A version that is withdrawn is compared no more; what it said stays in ``shadow_signals`` and in the journal. One
    that comes into use goes on from what it said as a challenger.

    Parameters
    ----------
    settings, store
        The project's; the journal is loaded already.
    model
        Its name.
    """
    accounts = _Accounts(settings, store, store.read(SHADOW_SIGNALS, where={"model": model}))
    champion, contenders = _named(settings, model)
    records = [_record(accounts, one, is_champion=one == champion) for one in contenders]
    if champion is None:
        return records
    return [one if one.is_champion else _against(accounts, one, champion) for one in records]


def keep(settings: Settings, store: Store, model: str, records: Iterable[ShadowRecord]) -> pl.DataFrame:
    """Write accounts and comparison of a model in place of the former ones; returns its rows of ``challengers``."""
    records = list(records)
    results = [one.result for one in records if one.result is not None]
    rows = _rows(settings, records)
    trades = pl.concat([pl.DataFrame(schema=SHADOW_TRADES.columns), *(one.trades for one in results)])
    equity = pl.concat([pl.DataFrame(schema=SHADOW_EQUITY.columns), *(one.equity for one in results)])
    store.replace_together(
        [(SHADOW_TRADES, trades), (SHADOW_EQUITY, equity), (CHALLENGERS, rows)], where={"model": model}
    )
    return rows


@dataclass(frozen=True, slots=True)
class Shown:
    """A challenger that has shown enough in shadow to take the champion's place.

    Attributes
    ----------
    version, champion
        Which, and whose place.
    reason
        Why, in words.
    evidence
        Its row of the table ``challengers``, and what the settings ask, as JSON knows it.
    """

    version: int
    champion: int
    reason: str
    evidence: dict[str, Any]


def due_for_promotion(settings: Settings, store: Store) -> dict[str, Shown]:
    """Model -> the challenger to be promoted by rule: still in shadow, beside the champion that it was better than."""
    manifest = read_manifest(settings.live_dir)
    named = {(model, one.version) for model, all_of in manifest.challengers.items() for one in all_of}
    champions = {model: one.version for model, one in manifest.models.items()}
    rows = store.read(CHALLENGERS)
    still = [
        (row["model"], row["version"]) in named and champions.get(row["model"]) == row["champion"]
        for row in rows.iter_rows(named=True)
    ]
    return to_promote(rows.filter(pl.Series(still, dtype=pl.Boolean)), settings.promotion)


def to_promote(challengers: pl.DataFrame, asked: PromotionSettings) -> dict[str, Shown]:
    """Model -> the challenger that has shown enough to take the champion's place; none where no rule is set.

    One that hardly trades has shown nothing: beside a champion that loses it looks better by doing nothing.

    Parameters
    ----------
    challengers
        Rows of the table of this name.
    asked
        The days, the trades, and how sure it must be.
    """
    if asked.challenger_days is None:
        return {}
    shown = challengers.filter(
        (pl.col("version") != pl.col("champion"))
        & (pl.col("common_days") >= asked.challenger_days)
        & (pl.col("better") >= asked.min_better)
        & (pl.col("trades") >= asked.min_trades)
    )
    best = shown.sort("better", "version").unique("model", keep="last", maintain_order=True)
    return {row["model"]: _shown(row, asked) for row in best.iter_rows(named=True)}


def _shown(row: Mapping[str, Any], asked: PromotionSettings) -> Shown:
    reason = (
        f"better than version {row['champion']} with a probability of {row['better']:.0%} after "
        f"{row['common_days']} days and {row['trades']} trades in shadow"
    )
    figures = {
        name: f"{value:%Y-%m-%dT%H:%MZ}" if isinstance(value, datetime) else value for name, value in row.items()
    }
    rule = asked.model_dump(mode="json", include={"challenger_days", "min_trades", "min_better", "measure"})
    return Shown(row["version"], row["champion"], reason, {**figures, "asked": rule})


def _named(settings: Settings, model: str) -> tuple[Contender | None, list[Contender]]:
    """The version of a model that the node trades, and with it first all that the deployment manifest names."""
    manifest = read_manifest(settings.live_dir)
    trades = manifest.models.get(model)
    champion = None if trades is None else _contender(trades)
    challengers = [_contender(one) for one in manifest.challengers.get(model, ())]
    return champion, challengers if champion is None else [champion, *challengers]


def _contender(deployed: DeployedModel) -> Contender:
    return Contender(deployed.model, deployed.version, deployed.bundle_hash[:HASH_DIGITS])


class _Accounts:
    """Trades what versions said, and nothing twice."""

    def __init__(self, settings: Settings, store: Store, signals: pl.DataFrame) -> None:
        self.settings = settings
        self._store = store
        self._signals = signals
        self._answers: dict[Contender, pl.DataFrame] = {}
        self._done: dict[tuple[Contender, int, int], BacktestResult] = {}

    def answers(self, contender: Contender) -> pl.DataFrame:
        """What a version said."""
        if contender not in self._answers:
            self._answers[contender] = answers_of(self._signals, contender)
        return self._answers[contender]

    def trade(self, answers: pl.DataFrame, contender: Contender) -> BacktestResult:
        """The account that some of its answers would have led."""
        bars = answers.height, int(answers.select(KEY).hash_rows().sum())
        if (contender, *bars) not in self._done:
            folder = self.settings.bundles_dir / contender.model / contender.bundle_hash
            held = bundle.load(folder, plugins=self.settings.plugged)
            trading, timeframe = self.settings.trading, held.labels.timeframe
            before = (unit_lookback(held.spec.exit_plan) - 1) * timeframe.length
            before = max(before, past_needed(trading.sizing, trading.risk, timeframe))
            covered, candles = with_candles(answers, self._store, self.settings, before=before)
            funding = stored_payments(self._store, list(candles), covered["bar_ts"].min())  # type: ignore[arg-type]
            self._done[contender, *bars] = hypothetical(
                covered, candles, held, self.settings, contender, funding=funding
            )
        return self._done[contender, *bars]


def _record(accounts: _Accounts, contender: Contender, *, is_champion: bool) -> ShadowRecord:
    answers = accounts.answers(contender)
    record = ShadowRecord(contender, is_champion, None, None, answers.height, 0, None, note="it has not answered yet")
    if answers.is_empty():
        return record
    first, last, timeframe = answers["bar_ts"].min(), answers["bar_ts"].max(), answers["timeframe"][-1]
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    entries = answers.filter(pl.col("action") == "enter").height
    record = replace(record, first=first, last=last + timeframe_delta(timeframe), entries=entries, note="")
    try:
        return replace(record, result=accounts.trade(answers, contender))
    except TradingError as error:
        return replace(record, note=str(error))


def _against(accounts: _Accounts, record: ShadowRecord, champion: Contender) -> ShadowRecord:
    """The record with what it is beside the champion's, both on the bars that both answered on."""
    if record.result is None:
        return record
    ours, theirs = accounts.answers(record.contender), accounts.answers(champion)
    both = [one.join(other, on=KEY, how="semi").sort(KEY) for one, other in ((ours, theirs), (theirs, ours))]
    if both[0].is_empty():
        return replace(record, note="it has no bar in common with the champion")
    try:
        mine, its = (accounts.trade(*one) for one in zip(both, (record.contender, champion), strict=True))
    except TradingError as error:
        return replace(record, note=f"not compared: {error}")
    spoken, days = _days_of(both[0], mine, its, accounts.settings.simulation.starting_balance)
    growth = days.select((pl.col("champion") + 1).product()).item()
    compared = replace(record, common_days=spoken, champion_return=float(growth - 1))
    if spoken < MIN_OBSERVATIONS:
        return replace(compared, note=f"{spoken} days in common, {MIN_OBSERVATIONS} are needed to compare")
    asked = accounts.settings.promotion
    found = compare_returns(days["mine"], days["champion"], resamples=asked.resamples)
    return replace(compared, better=found[asked.measure].better)


def _days_of(
    answers: pl.DataFrame, mine: BacktestResult, its: BacktestResult, balance: float
) -> tuple[int, pl.DataFrame]:
    """How many days both answered on; and the returns of these days and of those on which a trade of theirs went on.

    An account stands still while the node does, or while the challenger is withdrawn: such days show nothing.
    """
    days = mine.equity.join(its.equity, on="ts", suffix="_champion").sort("ts")
    returns = days.select(
        "ts",
        mine=pl.Series(daily_returns(days["equity"].to_list(), balance)),
        champion=pl.Series(daily_returns(days["equity_champion"].to_list(), balance)),
        spoken=pl.col("ts").is_in(answers["bar_ts"].dt.truncate("1d").unique().implode()),
    )
    live = pl.col("spoken") | (pl.col("mine") != 0) | (pl.col("champion") != 0)
    return int(returns["spoken"].sum()), returns.filter(live)


def _rows(settings: Settings, records: Iterable[ShadowRecord]) -> pl.DataFrame:
    records = list(records)
    champion = next((one.contender.version for one in records if one.is_champion), None)
    return pl.DataFrame([_row(settings, one, champion) for one in records], schema=CHALLENGERS.columns, orient="row")


def _row(settings: Settings, one: ShadowRecord, champion: int | None) -> tuple[object, ...]:
    measured = _measured(settings, one.result)
    return (
        one.contender.model,
        one.contender.version,
        champion,
        one.first,
        one.last,
        one.days,
        one.decisions,
        one.entries,
        *(measured.get(name) for name in ("trades", "net_return", "sharpe", "sharpe_low", "sharpe_high")),
        one.common_days,
        one.champion_return,
        one.better,
        one.note,
    )


def _measured(settings: Settings, result: BacktestResult | None) -> Mapping[str, float | int]:
    if result is None:
        return {}
    found: dict[str, float | int] = {"trades": result.trades.height, "net_return": result.metrics["total_return"]}
    returns = daily_returns(result.equity["equity"].to_list(), settings.simulation.starting_balance)
    if returns.size > 1:
        found["sharpe"] = result.metrics["sharpe"]
    if returns.size >= MIN_OBSERVATIONS:
        interval = confidence_intervals(returns, OF_DAILY_RETURNS)["sharpe"]
        found |= {"sharpe_low": interval.low, "sharpe_high": interval.high}
    return found

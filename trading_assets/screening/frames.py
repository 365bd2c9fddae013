"""Screening from Python: frames in, a row per parameter set out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.backtest.simulation.inputs import require_one_quote
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.core.candles import EPOCH, TS, Market, timeframe_delta
from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.screening.figures import daily_returns, figures
from trading_assets.screening.outcomes import OutcomeTable, Way, refuse_unscreened
from trading_assets.screening.running import Progress, run
from trading_assets.screening.sets import values_of
from trading_assets.screening.world import Scene, make_scene
from trading_assets.settings import BacktestSettings, LabelSettings, RiskSettings, RuleSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.store.tables import Schema
from trading_assets.strategies.rules import rule_of

if TYPE_CHECKING:
    from trading_assets.screening.arrays import Costs, State

_DAY: Final = timedelta(days=1)
_REASONS: Final = {1: "take_profit", -1: "stop_loss", 0: "time", 2: "opposite", 3: "end"}

TRADES: Final[Schema] = {
    "set": pl.Int32,
    "market": pl.String,
    "side": pl.String,
    "signal_ts": TS,
    "known_at": TS,
    "entry_ts": TS,
    "exit_ts": TS,
    "entry_price": pl.Float64,
    "exit_price": pl.Float64,
    "quantity": pl.Float64,
    "fees": pl.Float64,
    "funding": pl.Float64,
    "pnl": pl.Float64,
    "return": pl.Float64,
    "exit_reason": pl.String,
}
"""Of :meth:`Screening.trades`."""


@dataclass(frozen=True)
class Screened:
    """What became of parameter sets.

    Attributes
    ----------
    rules
        The sets.
    table
        A row per set: ``set`` (its number), its parameters, and the columns of
        :func:`trading_assets.screening.figures.figures`.
    returns
        Daily returns of each account, sets x days (UTC), flat days included.
    first_day
        The day of the first column.
    """

    rules: Sequence[RuleSettings]
    table: pl.DataFrame
    returns: npt.NDArray[np.float64]
    first_day: datetime

    def best(self, count: int = 10, *, by: str = "value") -> pl.DataFrame:
        """The rows of the best sets; of equals, the one that was tried first."""
        return self.table.sort(by, "set", descending=[True, False]).head(count)


class Screening:
    """Markets, costs and a way of ending trades, on which any sets of any rule are tried.

    Parameters
    ----------
    candles
        Market -> its finest candles: ``ts`` (open, UTC) and OHLCV, ascending. Nothing after them is known.
    candle_timeframe
        Of all of them, e.g. ``1m``.
    labels
        Timeframe of the decisions, policy for ambiguous candles, and barriers and horizon where there is no exit plan.
    exit_plan
        What becomes of open trades; None for the label set's barriers.
    settings, risk
        Costs, sizes and limits, as the backtest has them.
    sides
        That are traded.
    bars
        Market -> closed decision bars with ``ts``, ``known_at`` and OHLCV; made of the candles where not given.
    funding
        Perpetual -> its payments: ``ts``, ``rate`` (positive: longs pay), ``mark_price`` (null where it is not known).
        Where there are none, `trading.costs.assumed_funding_bps` is charged, as in the backtest.

    Raises
    ------
    MissingCandles
        If a market has no candles.
    InvalidFrame
        If a candle is impossible or out of order.
    SettingsError
        If decision bars are not whole numbers of candles, markets are not quoted in one currency, or a spot market is
        to be sold short.
    ModelError
        If the exit plan asks for what screening does not do.
    """

    def __init__(
        self,
        candles: Mapping[str, pl.DataFrame],
        *,
        candle_timeframe: str,
        labels: LabelSettings,
        exit_plan: ExitSettings | None = None,
        settings: BacktestSettings | None = None,
        risk: RiskSettings | None = None,
        sides: Sequence[Side] = (Side.LONG,),
        bars: Mapping[str, pl.DataFrame] | None = None,
        funding: Mapping[str, pl.DataFrame] = MappingProxyType({}),
    ) -> None:
        self.settings, self.sides = settings or BacktestSettings(), tuple(sides)
        _check(candles, self.sides)
        refuse_unscreened(exit_plan, "exits")
        volume = self.settings.max_volume_share is not None
        made = bars or {market: _bars(frame, candle_timeframe, labels) for market, frame in candles.items()}
        self.scene: Scene = make_scene(
            candles,
            made,
            candle_timeframe=candle_timeframe,
            timeframe=labels.timeframe,
            capital=self.settings.starting_balance,
            funding=funding,
            assumed_bps=self.settings.assumed_funding_bps,
            volume=volume,
        )
        self.way = Way.of(labels, exit_plan, cost=self.settings.of_markets(candles).round_trip_bps / 1e4)
        self.costs = _costs(self.settings, risk or RiskSettings(), self.scene, opposite=self.way.opposite)
        self._outcomes = OutcomeTable(self.scene, self.way, self.settings)
        self._length = labels.timeframe.length

    def screen(
        self, sets: Sequence[RuleSettings], *, needed: float = 0.0, progress: Progress | None = None
    ) -> Screened:
        """Trade sets of parameters of one rule, each on an account of its own.

        Parameters
        ----------
        sets
            Sections of the settings, of one kind.
        needed
            Trades that count in full in ``value``.
        progress
            Told how many sets are done.

        Raises
        ------
        SettingsError
            If there are none, or they are of several rules.
        ModelError
            If a rule answers otherwise than rules do.
        """
        state = self._run(sets, progress=progress)
        balance = self.settings.starting_balance
        returns = daily_returns(state, balance)
        found = figures(state, returns, balance, markets=len(self.scene.markets), needed=needed)
        numbers = pl.Series("set", np.arange(1, len(sets) + 1), pl.Int32)
        names = [name for name in type(sets[0]).model_fields if name != "kind"]
        table = pl.DataFrame([numbers]).hstack(pl.DataFrame(values_of(sets, names))).hstack(found)
        return Screened(sets, table, returns, EPOCH + _DAY * self.scene.world.first_day)

    def trades(self, sets: Sequence[RuleSettings]) -> pl.DataFrame:
        """Every trade of some sets, by entry: the columns of :data:`TRADES`.

        ``return`` is the result over the notional at the entry; prices are means over the parts of a trade.
        """
        from trading_assets.screening.arrays import no_log

        rows = len(sets) * len(self.scene.markets) * self.scene.width
        log = no_log(min(rows, 2_000_000))
        self._run(sets, log=log)
        count = int(log.written[0])
        number, market, bar, side, left_at, reason = log.numbers[:count].T
        quantity, entry, left, fees, funding, pnl = log.amounts[:count].T
        entered = self._outcomes.arrays.entered_at[market, side, bar]
        known = self.scene.world.known[bar]
        found = pl.DataFrame(
            {
                "set": number + 1,
                "market": np.array(self.scene.markets)[market],
                "side": np.array(["long", "short"])[side],
                "known_at": known,
                "entry_ts": entered,
                "exit_ts": left_at,
                "entry_price": entry,
                "exit_price": left,
                "quantity": quantity,
                "fees": fees,
                "funding": funding,
                "pnl": pnl,
                "return": pnl / (quantity * entry),
                "reason": reason,
            }
        )
        times = [pl.col(name).cast(TS) for name in ("known_at", "entry_ts", "exit_ts")]
        return (
            found.with_columns(*times)
            .with_columns(
                signal_ts=pl.col("known_at") - self._length,
                exit_reason=pl.col("reason").replace_strict(_REASONS, return_dtype=pl.String),
            )
            .sort("set", "entry_ts", "market")
            .select(pl.col(name).cast(dtype) for name, dtype in TRADES.items())
        )

    def _run(self, sets: Sequence[RuleSettings], **how: Any) -> State:
        kinds = {type(one) for one in sets}
        if len(kinds) != 1:
            said = "no parameter set" if not kinds else f"sets of {len(kinds)} rules"
            raise SettingsError(said, where="screening", remedy="give sets of parameters of one rule")
        rules = [rule_of(one) for one in sets]
        return run(self.scene, self._outcomes, rules, self.sides, self.costs, **how)


def screen(
    candles: Mapping[str, pl.DataFrame], sets: Sequence[RuleSettings], *, progress: Progress | None = None, **how: Any
) -> Screened:
    """Trade many parameter sets of a rule on candles, by arithmetic: thousands in a minute.

    A signal of a closed decision bar is entered on at the open of the first candle after it, one trade at a time in
    each market, and ended by the exit plan on the finest candles; fees, slippage, funding, sizes and limits are those
    of the backtest, which stays the judge: it knows ticks and latencies that are left out here.

    Every set that is looked at is a trial: who chooses by what comes out counts them, as ``trading screen`` does.

    Parameters
    ----------
    candles
        Market -> its finest candles: ``ts`` (open, UTC) and OHLCV, ascending.
    sets
        Parameters of one rule: sections of the settings, as ``[MomentumSettings(bars=12), MomentumSettings(bars=24)]``.
    progress
        Told how many sets are done.
    **how
        See :class:`Screening`: ``candle_timeframe`` and ``labels``, and what differs from the defaults.

    Returns
    -------
    Screened
        A row per set, and the daily returns of each.

    Examples
    --------
    >>> found = screen(  # doctest: +SKIP
    ...     {"binance:BTC/USDT": candles},
    ...     [MomentumSettings(bars=bars) for bars in range(4, 100)],
    ...     candle_timeframe="1m",
    ...     labels=LabelSettings(),
    ... )
    >>> found.best(3)  # doctest: +SKIP
    """
    return Screening(candles, **how).screen(sets, progress=progress)


def _check(candles: Mapping[str, pl.DataFrame], sides: Sequence[Side]) -> None:
    if not candles or not sides:
        raise SettingsError("no market or no side is given", where="screening", remedy="name at least one")
    require_one_quote(tuple(candles))
    spot = [market for market in candles if not Market.parse(market).is_derivative]
    if Side.SHORT in sides and spot:
        raise SettingsError(
            f"{spot[0]} is a spot market, which cannot be sold short", where="screening", remedy="trade a perpetual"
        )


def _bars(candles: pl.DataFrame, timeframe: str, labels: LabelSettings) -> pl.DataFrame:
    until = candles["ts"][-1] + timeframe_delta(timeframe) if candles.height else EPOCH
    return decision_bars(candles, timeframe=timeframe, decision_timeframe=labels.timeframe.name, until=until)


def _costs(settings: BacktestSettings, risk: RiskSettings, scene: Scene, *, opposite: bool) -> Costs:
    from trading_assets.screening.arrays import Costs

    rates = [settings.rates(market) for market in scene.markets]
    return Costs(
        taker=np.array([taker + settings.slippage_bps for _, taker in rates]) / 1e4,
        maker=np.array([maker for maker, _ in rates]) / 1e4,
        dearest=settings.of_markets(scene.markets).market_order_bps / 1e4,
        slips=np.array([settings.slippage_probability * one.tick for one in scene.rules]),
        max_volume=settings.max_volume_share or 0.0,
        max_notional=risk.max_position_notional,
        least_notional=risk.min_position_notional,
        max_market_leverage=risk.max_market_leverage or np.inf,
        max_leverage=risk.max_leverage or np.inf,
        max_total=risk.max_total_notional or np.inf,
        max_daily_loss=risk.max_daily_loss,
        lent=np.array([Market.parse(market).is_derivative for market in scene.markets]),
        opposite=opposite,
        balance=settings.starting_balance,
    )

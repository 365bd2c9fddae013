"""The metrics of a backtest by name: what gates may ask for, and how each is written for people.

How each is measured is with its function: :mod:`trading_assets.backtest.metrics` and
:mod:`trading_assets.backtest.significance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Kind = Literal["percent", "fine percent", "ratio", "fine ratio", "count", "money", "hours", "days", "bps"]


class Metric(NamedTuple):
    """A metric.

    Attributes
    ----------
    label
        For people.
    kind
        Its unit: percent and fine percent are stored as fractions, and a gate asks for fractions.
    meaning
        In a few words.
    """

    label: str
    kind: Kind
    meaning: str


_ACCOUNT: Final[Mapping[str, Metric]] = {
    "total_return": Metric("Total return", "percent", "final equity over starting balance"),
    "cagr": Metric("CAGR", "percent", "compound annual growth"),
    "sharpe": Metric("Sharpe", "ratio", "daily returns, flat days included, times the root of 365"),
    "sortino": Metric("Sortino", "ratio", "only falling days count as risk"),
    "max_drawdown": Metric("Max drawdown", "percent", "deepest fall below the peak, at day ends"),
    "max_drawdown_days": Metric("Longest drawdown", "days", "from the first day below a peak to the last"),
    "calmar": Metric("Calmar", "ratio", "CAGR over max drawdown"),
    "volatility": Metric("Volatility", "percent", "annualised, of daily returns"),
    "final_equity": Metric("Final equity", "money", "quote currency"),
    "days": Metric("Days", "count", "of the period"),
}
_TRADES: Final[Mapping[str, Metric]] = {
    "trades": Metric("Trades", "count", "round trips"),
    "win_rate": Metric("Win rate", "percent", "trades with a profit after costs"),
    "profit_factor": Metric("Profit factor", "ratio", "gross profit over gross loss, after costs"),
    "payoff": Metric("Payoff", "ratio", "mean win over mean loss"),
    "expectancy": Metric("Expectancy", "ratio", "mean profit of a trade, in mean losses"),
    "avg_trade_pnl": Metric("Average net profit", "money", "of a trade, quote currency, after costs"),
    "avg_trade_return": Metric("Average trade", "fine percent", "of its notional, after costs"),
    "best_trade": Metric("Best trade", "fine percent", "of its notional"),
    "worst_trade": Metric("Worst trade", "fine percent", "of its notional"),
    "hit_tp1": Metric("First target reached", "percent", "of the trades"),
    "hit_tp2": Metric("Second target reached", "percent", "of the trades that have one"),
    "hit_tp3": Metric("Third target reached", "percent", "of the trades that have one"),
    "avg_mae": Metric("Mean adverse excursion", "fine percent", "farthest move against a trade, of its entry price"),
    "avg_mfe": Metric("Mean favourable excursion", "fine percent", "farthest move for a trade, of its entry price"),
    "avg_hold_hours": Metric("Average holding time", "hours", "from entry to the last exit"),
    "losing_streak": Metric("Longest losing streak", "count", "losing trades in a row, by exit"),
    "exposure": Metric("Exposure", "percent", "share of market time with an open position"),
    "turnover": Metric("Turnover", "ratio", "notional traded over mean equity"),
    "total_pnl": Metric("Profit and loss", "money", "quote currency, after costs"),
    "total_fees": Metric("Fees and slippage", "money", "quote currency; slippage in basis points, not in ticks"),
    "total_slippage": Metric("Slippage", "money", "quote currency; what of the fees stands for it, not in ticks"),
    "total_funding": Metric("Funding", "money", "quote currency, received where positive"),
    "assumed_funding": Metric("Funding assumed", "money", "the part of it that no stored rate tells"),
    "payments": Metric("Funding payments", "count", "due on the markets in the period"),
    "assumed_payments": Metric("Funding payments assumed", "count", "of these, for want of stored ones"),
    "total_costs": Metric("Costs", "money", "fees and slippage, less funding received"),
    "costs_bps": Metric("Costs of the notional traded", "bps", "of each of a trade's two ways"),
    "refused": Metric("Entries refused", "count", "by the limits of risk, venue and volume"),
    "capped": Metric("Entries made smaller", "count", "by the share of the bar's volume, or by the cash"),
}
_OF_SIDES: Final[tuple[tuple[str, str, Kind], ...]] = (
    ("trades", "Trades", "count"),
    ("win_rate", "Win rate", "percent"),
    ("pnl", "Profit and loss", "money"),
    ("profit_factor", "Profit factor", "ratio"),
)
_SIDES: Final[Mapping[str, Metric]] = {
    f"{side}_{name}": Metric(f"{label}, {side}", kind, f"{side} trades alone")
    for side in ("long", "short")
    for name, label, kind in _OF_SIDES
}
_BENCHMARK: Final[Mapping[str, Metric]] = {
    "buy_hold_return": Metric("Buy and hold", "percent", "the same markets in equal parts, before costs"),
    "buy_hold_sharpe": Metric("Sharpe, buy and hold", "ratio", "daily returns, times the root of 365"),
    "buy_hold_drawdown": Metric("Drawdown, buy and hold", "percent", "deepest fall below the peak, at day ends"),
    "excess_return": Metric("Beyond buy and hold", "percent", "total return less that of buy and hold"),
    "alpha": Metric("Alpha", "percent", "a year's return that the market does not explain"),
    "alpha_low": Metric("Alpha, lower bound", "percent", "95 % interval"),
    "alpha_high": Metric("Alpha, upper bound", "percent", "95 % interval"),
    "beta": Metric("Beta", "ratio", "share of the market's daily move that the account made"),
}
_LUCK: Final[Mapping[str, Metric]] = {
    "psr": Metric("Probabilistic Sharpe", "percent", "probability that the true Sharpe ratio is above 0"),
    "dsr": Metric("Deflated Sharpe", "percent", "the same after the luck of all trials"),
    "trials": Metric("Trials", "count", "on the model's markets"),
    "expected_max_sharpe": Metric("Luck of the trials", "ratio", "expected best Sharpe ratio without skill"),
    "min_track_record_days": Metric("Track record needed", "days", "to be 95 % sure of a Sharpe ratio above 0"),
    "pbo": Metric("Overfitting (PBO)", "percent", "the past's best band is below the median later"),
    "choices": Metric("Bands of probability", "count", "that the choice is measured among"),
    "pbo_trials": Metric("Overfitting among trials", "percent", "the same among this backtest and others"),
    "trials_compared": Metric("Trials compared", "count", "that cover the backtest's days"),
    "spa_p": Metric("SPA p-value", "percent", "probability of so good a best variant if none earns anything"),
    "spa_variants": Metric("Variants in the SPA test", "count", "accounts and bands of probability"),
    "spa_superior": Metric("Variants that earn something", "count", "by StepM, at 5 % error among all of them"),
    "skill": Metric("Skill", "fine ratio", "correlation of the probability's rank with the return"),
    "skill_low": Metric("Skill, lower bound", "fine ratio", "95 % interval"),
    "skill_high": Metric("Skill, upper bound", "fine ratio", "95 % interval"),
    "entries": Metric("Predictions worth a trade", "count", "by the rule of entry"),
    "break_even": Metric("Break-even probability", "fine ratio", "median of the entries"),
    "required": Metric("Required probability", "fine ratio", "median of the entries"),
    "max_probability": Metric("Highest probability", "fine ratio", "of all predictions"),
    "tail_predicted": Metric("Targets predicted", "percent", "of the entries"),
    "tail_observed": Metric("Targets observed", "percent", "of the entries"),
    "tail_low": Metric("Targets observed, lower bound", "percent", "95 % interval"),
    "tail_high": Metric("Targets observed, upper bound", "percent", "95 % interval"),
    "edge_predicted_bps": Metric("Net return expected", "bps", "of the entries"),
    "edge_observed_bps": Metric("Net return found", "bps", "of the entries"),
}
_BOUNDS: Final[Mapping[str, Metric]] = {
    f"{name}_{end}": Metric(f"{metric.label}, {word} bound", metric.kind, "95 % interval, bootstrap")
    for name in ("sharpe", "max_drawdown", "profit_factor", "win_rate")
    for metric in ({**_ACCOUNT, **_TRADES}[name],)
    for end, word in (("low", "lower"), ("high", "upper"))
}
_STRESS: Final[Mapping[str, Metric]] = {
    f"stress_{key}{name}": Metric(f"{metric.label}, {label}", metric.kind, meaning)
    for key, label, meaning in (
        ("", "worse fills", "targets one tick through, slipping exits"),
        ("costs_1.5_", "costs x 1.5", "fees and slippage half as high again"),
        ("costs_2_", "costs x 2", "fees and slippage twice as high"),
        ("latency_0.5_", "orders 0.5 s late", "charged what the market moves meanwhile"),
        ("latency_1_", "orders 1 s late", "charged what the market moves meanwhile"),
        ("latency_2_", "orders 2 s late", "charged what the market moves meanwhile"),
    )
    for name in ("sharpe", "total_return", "max_drawdown", "profit_factor", "win_rate", "trades")
    for metric in ({**_ACCOUNT, **_TRADES}[name],)
}
_MONTE_CARLO: Final[Mapping[str, Metric]] = {
    f"mc_{what}_{percent}": Metric(
        f"{label}, {percent} % of {way}", "percent", "Monte Carlo: so many of the draws are at or below"
    )
    for what, label, way in (
        ("trades_return", "Total return", "drawn trades"),
        ("trades_drawdown", "Max drawdown", "drawn trades"),
        ("order_drawdown", "Max drawdown", "shuffled trades"),
        ("days_return", "Total return", "drawn days"),
        ("days_drawdown", "Max drawdown", "drawn days"),
    )
    for percent in (5, 50, 95)
}

METRICS: Final[Mapping[str, Metric]] = {
    **_ACCOUNT,
    **_TRADES,
    **_SIDES,
    **_BENCHMARK,
    **_LUCK,
    **_BOUNDS,
    **_STRESS,
    "edge_gone_at": Metric("Edge gone at", "ratio", "multiple of the costs that takes the whole profit"),
    **_MONTE_CARLO,
}
"""Name -> metric, of all that a backtest is measured by whatever its model."""

"""What a candidate's out-of-sample backtest must reach, and what to look at where it does not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trading_assets.core.errors import InvalidFrame
from trading_assets.core.precision import money
from trading_assets.settings import GateSettings
from trading_assets.settings.metrics import METRICS, Kind


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate.

    Attributes
    ----------
    name
        The metric.
    value, threshold
        What the backtest has, and what is asked for.
    at_least
        Whether the value must reach the threshold (else it must not exceed it).
    advice
        What to look at where the gate fails.
    """

    name: str
    value: float
    threshold: float
    passed: bool
    at_least: bool
    advice: str

    @property
    def value_text(self) -> str:
        """The value with its unit."""
        return self._show(self.value)

    @property
    def required_text(self) -> str:
        """The threshold with its direction and unit."""
        return f"{'>=' if self.at_least else '<='} {self._show(self.threshold)}"

    @property
    def text(self) -> str:
        """Value, threshold, verdict and, where it failed, what to look at."""
        line = f"{self.name} {self.value_text}, required {self.required_text}"
        return f"{line}: passed" if self.passed else f"{line}: FAILED; {self.advice}"

    def _show(self, value: float) -> str:
        return "not measurable" if math.isnan(value) else _written(value, METRICS[self.name].kind)


def evaluate(metrics: Mapping[str, float], settings: GateSettings) -> list[GateResult]:
    """Every gate, in the order of the settings; then those on metrics that the settings name.

    A named metric that could not be measured, or is not there, lets nothing pass.

    Parameters
    ----------
    metrics
        Of :func:`metrics.compute` and :func:`significance.measure_significance`;
        out-of-sample.

    Raises
    ------
    InvalidFrame
        If a metric that a gate needs is missing.
    """
    count = metrics.get("refused", 0.0)
    refused = f"{count:.0f} entries were refused, see why in the report; " if count else ""
    gates = (
        (
            "sharpe",
            settings.min_sharpe,
            True,
            "look at the equity curve: steady or a few lucky days, and at the fold AUCs",
        ),
        (
            "win_rate",
            settings.min_win_rate,
            True,
            "look at the calibration of the entries: raise min_edge_bps or widen the stop",
        ),
        ("profit_factor", settings.min_profit_factor, True, "look at avg_trade_return against fees and slippage"),
        (
            "max_drawdown",
            settings.max_drawdown,
            False,
            "look at the drawdown plot; lower the shares of trading.sizing",
        ),
        (
            "trades",
            float(settings.min_trades),
            True,
            f"{refused}too few to judge: lower min_edge_bps (or a threshold that is set) or test a longer range",
        ),
        (
            "dsr",
            settings.min_dsr,
            True,
            "the Sharpe ratio may be the luck of the best of all trials, or the record is too short: see trials and "
            "min_track_record_days; test a longer history, not more variants",
        ),
        (
            "pbo",
            settings.max_pbo,
            False,
            "the bands of probability that did best are not those to trade: look at the AUC by fold; test a longer "
            "history or better features",
        ),
        (
            "skill_low",
            settings.min_skill_low,
            True,
            "over all predictions the probability ranks returns no better than chance may, so a profit may be luck: "
            "look at the AUC by fold and the calibration plot; test a longer history or better features",
        ),
    )
    missing = [name for name, *_ in gates if name not in metrics]
    if missing:
        raise InvalidFrame(f"no metric {missing}", where="gates", remedy="run the backtest again")
    return [
        GateResult(name, value, limit, value >= limit if at_least else value <= limit, at_least, advice)
        for name, limit, at_least, advice in (*gates, *_named(settings))
        for value in (float(metrics.get(name, math.nan)),)
    ]


def _named(settings: GateSettings) -> list[tuple[str, float, bool, str]]:
    """The gates on metrics that the settings name: two of one that has both limits."""
    return [
        (name, limit, at_least, f"it is {METRICS[name].label.lower()}: {METRICS[name].meaning}")
        for name, asked in settings.metrics.items()
        for limit, at_least in ((asked.min, True), (asked.max, False))
        if limit is not None
    ]


def all_passed(results: list[GateResult]) -> bool:
    """Whether the candidate may be approved."""
    return all(result.passed for result in results)


def _written(value: float, kind: Kind) -> str:
    """A value as a gate shows it: shares in percent."""
    match kind:
        case "percent":
            return f"{value:.1%}"
        case "fine percent":
            return f"{value:.3%}"
        case "count":
            return f"{value:.0f}"
        case "fine ratio":
            return f"{value:.3f}"
        case "money":
            return money(value)
        case _:
            return f"{value:.2f}"

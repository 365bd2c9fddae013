"""What the rule of entry makes of the predictions: how many it takes, and whether what they promise comes true.

A model is judged where it trades. Over all predictions the errors of a few hundred hardly show, so the calibration of
those that are entered on is measured apart, with an interval from whole days: their outcomes overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from trading_assets.backtest.stress import EDGE_GONE, MULTIPLES, edge_text
from trading_assets.settings import LabelSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.stored_signals import stakes_percent
from trading_assets.validation.bootstrap import MIN_OBSERVATIONS, optimal_block_length, resample

_RESAMPLES: Final = 2000
_TAIL: Final = ("tail_predicted", "tail_observed", "tail_low", "tail_high", "edge_predicted_bps", "edge_observed_bps")


def entries(predictions: pl.DataFrame, rule: EntryRule, labels: LabelSettings) -> dict[str, float]:
    """Measure the predictions that the rule enters on, whether or not a trade was open already.

    Of two sides at one bar the better one is entered on, and neither where both promise the same.

    Parameters
    ----------
    predictions
        Rows of the table of this name, of one model.
    rule, labels
        What decides, and the barriers and costs of the predictions' outcomes.

    Returns
    -------
    dict
        ``entries``, their number; ``break_even`` and ``required``, the medians of the probabilities that cover costs
        and that the rule asks for; ``max_probability``; ``tail_predicted`` and ``tail_observed``, mean probability and
        share of targets of the entries, with the 95 % interval ``tail_low`` to ``tail_high``; ``edge_predicted_bps``
        and ``edge_observed_bps``, their expected and their mean net return. NaN where nothing is entered on, and the
        interval below ten days.
    """
    target, stop = stakes_percent(predictions, labels)
    said = pl.col("probability")
    predictions = predictions.with_columns(
        entered=rule.entered(target, stop), edge=rule.edge_bps(said, target, stop)
    ).with_columns(better=is_better_side(predictions))
    rows = predictions.select(
        "known_at",
        "probability",
        hit=pl.col("label") == 1,
        net=pl.col("return") * 1e4 + (labels.cost_bps or 0.0) - rule.cost_bps,
        edge="edge",
        even=rule.break_even(target, stop),
        required=rule.required(target, stop),
        entered=pl.col("entered") & pl.col("better"),
    )
    entered, said_on = rows.filter("entered"), rows.filter(pl.col("probability").is_not_null())
    found = {
        "entries": float(entered.height),
        "break_even": _number(said_on["even"].median()),
        "required": _number(said_on["required"].median()),
        "max_probability": _number(rows["probability"].max()),
    }
    if rule.threshold is not None:
        found["threshold_share"] = _number((rows["probability"] >= rule.threshold).mean())
    if entered.is_empty():
        return found | dict.fromkeys(_TAIL, math.nan)
    means = entered.select(pl.col("probability", "hit", "edge", "net").mean()).row(0)
    predicted, observed, edge, net = (float(mean) for mean in means)
    low, high = _interval(rows)
    return found | dict(zip(_TAIL, (predicted, observed, low, high, edge, net), strict=True))


def is_better_side(predictions: pl.DataFrame) -> pl.Expr:
    """Of rows with ``entered`` and ``edge``: whether no other side of their bar is entered on that promises as much."""
    if "side" not in predictions.columns:
        return pl.lit(value=True)
    wanted = pl.when("entered").then("edge")
    best = wanted.max().over("market", "ts")
    return (pl.col("edge") == best) & ((wanted == best).sum().over("market", "ts") == 1)


def remarks(metrics: Mapping[str, float], rule: EntryRule, refusals: Mapping[str, int]) -> list[str]:
    """What a verdict should say beside the gates: sentences, none where there is nothing to say.

    Parameters
    ----------
    metrics
        Of a backtest, with those of :func:`entries`.
    rule
        The model's rule of entry.
    refusals
        What refused entries -> how often.
    """
    return [
        *_of_threshold(metrics, rule),
        *_of_entries(metrics),
        *_of_refusals(metrics, refusals),
        *_of_stress(metrics),
    ]


def _of_threshold(metrics: Mapping[str, float], rule: EntryRule) -> list[str]:
    if rule.threshold is None:
        return []
    even, most, chosen = metrics["break_even"], metrics["max_probability"], rule.threshold
    if metrics["required"] > chosen:
        return [f"the threshold of {chosen:g} decides nothing: the expected return asks for {metrics['required']:.3f}"]
    said = f"the threshold of {chosen:g} lies {chosen - even:+.3f} from break-even ({even:.3f})"
    share = metrics.get("threshold_share", math.nan)
    return [f"{said}; {share:.2%} of the predictions reach it, the largest is {most:.3f}"]


def _of_entries(metrics: Mapping[str, float]) -> list[str]:
    if not metrics["entries"]:
        return [
            f"no prediction is worth a trade: the largest probability is {metrics['max_probability']:.3f}, "
            f"{metrics['required']:.3f} is needed (break-even {metrics['break_even']:.3f})"
        ]
    predicted, observed, low, high = (metrics[name] for name in _TAIL[:4])
    if not (predicted > high or predicted < low):
        return []
    way = "overconfident" if predicted > high else "too cautious"
    return [
        f"the model is {way} where it trades: {metrics['entries']:,.0f} predictions say {predicted:.1%}, "
        f"{observed:.1%} reach the target ({low:.1%} to {high:.1%}); a trade is expected to earn "
        f"{metrics['edge_predicted_bps']:+.1f} bps, {metrics['edge_observed_bps']:+.1f} are found"
    ]


def _of_refusals(metrics: Mapping[str, float], refusals: Mapping[str, int]) -> list[str]:
    refused = metrics.get("refused", 0.0)
    if not refused:
        return []
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in refusals.items())
    return [
        f"{refused:,.0f} entries were refused by limits beside {metrics['trades']:,.0f} trades"
        f"{f' ({reasons})' if reasons else ''}: the figures are those of what was left"
    ]


def _of_stress(metrics: Mapping[str, float]) -> list[str]:
    usual, stressed = metrics.get("total_return", math.nan), metrics.get("stress_total_return", math.nan)
    said = []
    if usual > 0 and stressed <= 0:
        said.append(f"the profit is one of the fills: {usual:+.1%} becomes {stressed:+.1%} where fills are stressed")
    if usual > 0 and metrics.get(EDGE_GONE, math.inf) < MULTIPLES[-1]:
        said.append(edge_text(metrics))
    return said


def _interval(rows: pl.DataFrame) -> tuple[float, float]:
    """The 95 % interval of the entries' share of targets: days drawn in blocks, those without an entry among them."""
    days = (
        rows.group_by(pl.col("known_at").dt.truncate("1d"))
        .agg(
            count=pl.col("entered").sum().cast(pl.Float64),
            hits=(pl.col("hit") & pl.col("entered")).sum().cast(pl.Float64),
        )
        .sort("known_at")
    )
    count, hits = days["count"].to_numpy(), days["hits"].to_numpy()
    if np.count_nonzero(count) < MIN_OBSERVATIONS:
        return math.nan, math.nan
    length = optimal_block_length(hits - count * hits.sum() / count.sum())
    drawn = resample(len(count), block_length=length, resamples=_RESAMPLES, seed=7)
    total = count[drawn].sum(axis=1)
    shares = hits[drawn].sum(axis=1)[total > 0] / total[total > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan

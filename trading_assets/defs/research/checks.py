"""The gates of features and labels; a failed one stops what follows it in the same run.

A check belongs to the asset, not to a partition: it looks at every month of the run and names the bad ones. Runs hold
one market each (jobs, schedules and backfills alike), so a market that fails stops no other. Run on its own, a check
looks at all that is stored. Those of the candles stand in ``checks_candles``.
"""

import dagster as dg
import polars as pl

from trading_assets import quality
from trading_assets.core.timeframes import Timeframe
from trading_assets.defs.lib.check_results import of_month, verdict, windows_of_run
from trading_assets.defs.lib.check_states import Judged, remember
from trading_assets.features import feature_names, nullable_features
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import FEATURES, LABELS


@dg.asset_check(
    asset=FEATURES.name,
    blocking=True,
    description="No feature of a stored row is null, NaN or infinite: warm-up rows do not exist. Null are only "
    "features whose companion (leader, funding, sentiment, books, trades) was not known.",
)
def finite_after_warmup(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Look for feature values that no model should see; a column of a feature that there is no more does not count."""
    known, nullable = {*FEATURES.columns, *feature_names(Timeframe.parse("15m"))}, nullable_features()
    judged, rows = [], []
    for window in windows_of_run(context, settings, store, FEATURES.name):
        frame = store.read(FEATURES, where={"market": window.market}, start=window.start, end=window.end)
        frame = frame.select(name for name in frame.columns if name in known)
        any_bad = bool(quality.not_finite(frame, nullable=nullable))
        for month in window.months:
            counts = quality.not_finite(of_month(frame, month), nullable=nullable) if any_bad else {}
            rows += [(month.key, name, count) for name, count in counts.items()]
            judged.append(Judged(month.key, ", ".join(list(counts)[:5]), month))
    others = remember(store, context, FEATURES.name, {"finite_after_warmup": judged}, known=settings.markets)
    examples = pl.DataFrame(rows, schema=["partition", "feature", "rows"], orient="row")
    return verdict(
        FEATURES.name,
        "finite_after_warmup",
        judged,
        examples,
        others=others["finite_after_warmup"],
        good="every value is finite",
        bad="not finite (allowed: 0 rows); see these columns in the table features and the bars before them",
    )


@dg.asset_check(
    asset=LABELS.name,
    blocking=True,
    description="Take-profit, and its absence, are each at least `labels.min_class_share` of a market's labels.",
)
def label_balance(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Measure the rarer of the two outcomes that a model learns, over all labels of each market in the run."""
    limit = next(iter(settings.labels.values())).min_class_share
    judged, rows, worst = [], [], 1.0
    for market in sorted({window.market for window in windows_of_run(context, settings, store, LABELS.name)}):
        frame = store.read(LABELS, where={"market": market}, columns=["barrier"])
        shares = quality.class_shares(frame)
        rarest = min(shares["take_profit"], 1 - shares["take_profit"]) if frame.height else 0.0
        worst = min(worst, rarest)
        rows.append((market, frame.height, *shares.values()))
        judged.append(Judged(market, f"{rarest:.2%} of {frame.height:,} labels" if rarest < limit else ""))
    others = remember(store, context, LABELS.name, {"label_balance": judged}, known=settings.markets)
    examples = pl.DataFrame(rows, schema=["market", "labels", "take_profit", "stop_loss", "time"], orient="row")
    return verdict(
        LABELS.name,
        "label_balance",
        judged,
        examples,
        others=others["label_balance"],
        good=f"the rarer outcome is {worst:.2%} of the labels, limit {limit:.2%}",
        bad=f"the rarer outcome is below {limit:.2%}; compare the barriers and the horizon under `labels` in the "
        "settings with how far the market moves",
    )

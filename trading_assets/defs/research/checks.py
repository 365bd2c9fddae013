"""The gates of features and labels; a failed one stops what follows it in the same run.

A check belongs to the asset, not to a partition: it looks at every month of the run and names the bad ones. Runs hold
one market each (jobs, schedules and backfills alike), so a market that fails stops no other. Run on its own, a check
looks at all that is stored. Those of the candles stand in ``checks_candles``.
"""

import dagster as dg
import polars as pl

from trading_assets import quality
from trading_assets.defs.lib.check_results import of_month, verdict, windows_of_run
from trading_assets.defs.lib.check_states import Judged, remember
from trading_assets.defs.lib.partitions import Window
from trading_assets.features import feature_names, nullable_features
from trading_assets.settings import Settings
from trading_assets.settings.demand import feature_timeframes_of, features_of, label_sets_of, sides_of
from trading_assets.store.contract import Store
from trading_assets.store.tables import FEATURES, LABELS

_SHARES = ["market", "label_set", "side", "labels", "hits", "take_profit", "stop_loss", "time"]


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
    nullable = nullable_features(settings.plugged)
    judged, rows = [], []
    for window in windows_of_run(context, settings, store, FEATURES.name):
        frames = _frames(store, window, settings)
        any_bad = any(quality.not_finite(frame, nullable=nullable) for frame in frames.values())
        for month in window.months:
            found = [
                (month.key, timeframe, name, count)
                for timeframe, frame in frames.items()
                for name, count in (
                    quality.not_finite(of_month(frame, month), nullable=nullable) if any_bad else {}
                ).items()
            ]
            rows += found
            judged.append(Judged(month.key, ", ".join(dict.fromkeys(name for _, _, name, _ in found[:5])), month))
    others = remember(store, context, FEATURES.name, {"finite_after_warmup": judged}, known=settings.markets)
    examples = pl.DataFrame(rows, schema=["partition", "timeframe", "feature", "rows"], orient="row")
    return verdict(
        FEATURES.name,
        "finite_after_warmup",
        judged,
        examples,
        others=others["finite_after_warmup"],
        good="every value is finite",
        bad="not finite (allowed: 0 rows); see these columns in the table features and the bars before them",
    )


def _frames(store: Store, window: Window, settings: Settings) -> dict[str, pl.DataFrame]:
    """Timeframe -> the stored features of a window that models ask for on it."""
    found = {}
    for timeframe in feature_timeframes_of(settings, window.market):
        where = {"market": window.market, "timeframe": timeframe.name}
        frame = store.read(FEATURES, where=where, start=window.start, end=window.end)
        chosen = features_of(settings, window.market, timeframe)
        known = {*FEATURES.columns, *feature_names(timeframe, chosen, settings.plugged)}
        found[timeframe.name] = frame.select(name for name in frame.columns if name in known)
    return found


@dg.asset_check(
    asset=LABELS.name,
    blocking=True,
    description="The outcome that a model learns, and its absence, are each at least the set's `min_class_share` of a "
    "market's labels on each side.",
)
def label_balance(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Measure the rarer of the two outcomes that a model learns, over all labels of each market in the run."""
    judged, rows, worst = [], [], 1.0
    for market in sorted({window.market for window in windows_of_run(context, settings, store, LABELS.name)}):
        rare = []
        for name, chosen in label_sets_of(settings, market).items():
            stored = store.read(
                LABELS, where={"market": market, "label_set": name}, columns=["side", "barrier", "label"]
            )
            for side in sides_of(settings, market, name):
                frame = stored.filter(side=int(side))
                hits = float((frame["label"] == 1).mean() or 0.0)  # type: ignore[arg-type]
                rarest = min(hits, 1 - hits) if frame.height else 0.0
                worst = min(worst, rarest)
                rows.append((market, name, side.word, frame.height, hits, *quality.class_shares(frame).values()))
                if rarest < chosen.min_class_share:
                    limit = f"limit {chosen.min_class_share:.2%}"
                    rare.append(f"{name} {side.word}: {rarest:.2%} of {frame.height:,} labels, {limit}")
        judged.append(Judged(market, "; ".join(rare)))
    others = remember(store, context, LABELS.name, {"label_balance": judged}, known=settings.markets)
    examples = pl.DataFrame(rows, orient="row", schema=_SHARES)
    return verdict(
        LABELS.name,
        "label_balance",
        judged,
        examples,
        others=others["label_balance"],
        good=f"the rarer outcome is {worst:.2%} of the labels",
        bad="the rarer outcome is below `min_class_share`; compare the barriers and the horizon under `labels` in the "
        "settings with how far the market moves",
    )

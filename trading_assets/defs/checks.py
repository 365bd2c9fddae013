"""The quality gates of the data, from candles to labels; a failed one stops what follows it in the same run.

A check belongs to the asset, not to a partition: it looks at every month of the run and names the bad ones. Runs hold
one market each (jobs, schedules and backfills alike), so a market that fails stops no other. Run on its own, a check
looks at all that is stored.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl

from trading_assets import quality
from trading_assets.candles import timeframe_delta
from trading_assets.defs.partitions import MARKET_MONTHS, Month, Window, keys_of_run, windows
from trading_assets.defs.present import preview
from trading_assets.features import feature_names
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, FEATURES, LABELS

_CANDLE_CHECKS = {
    "schema": "Every stored candle has the declared columns and types, no nulls, positive prices, no negative volume.",
    "no_duplicates": "No two candles share market, timeframe and ts.",
    "ohlc_consistency": "The high is the highest and the low the lowest of the four prices.",
    "gap_share": "The share of missing candles in a month is within `candle_gates.max_gap_share`.",
}


Rule = Callable[[pl.DataFrame], pl.DataFrame]
"""Takes candles, returns what breaks the rule."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: bad months with their value, and rows that show it."""

    bad: list[str]
    examples: pl.DataFrame
    worst: float = 0.0


def windows_of_run(context: dg.AssetCheckExecutionContext, settings: Settings) -> list[Window]:
    """The windows of the run's partitions; the whole history where a check runs on its own."""
    return windows(keys_of_run(context.run.tags, MARKET_MONTHS), settings)


def selected(context: dg.AssetCheckExecutionContext) -> list[str]:
    """The checks that the run asks for: all of a group, or those picked in the UI."""
    return sorted(key.name for key in context.selected_asset_check_keys)


def verdict(asset: str, name: str, finding: Finding, *, good: str, bad: str) -> dg.AssetCheckResult:
    """A check's result: the bad partitions in the metadata, the reason and the next step in the description."""
    examples = {"examples": preview(finding.examples, rows=10)} if finding.examples.height else {}
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=not finding.bad,
        description=f"{'; '.join(finding.bad[:12])}: {bad}" if finding.bad else good,
        metadata={"bad_partitions": finding.bad, "bad_partition_count": len(finding.bad), **examples},
    )


@dg.multi_asset_check(
    name="candle_checks",
    specs=[
        dg.AssetCheckSpec(name, asset=CANDLES.name, description=text, blocking=True)
        for name, text in _CANDLE_CHECKS.items()
    ],
    can_subset=True,
)
def candle_checks(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.AssetCheckResult]:
    """Schema, duplicates, OHLC consistency and gaps of the run's candles, market by market."""
    rules: dict[str, tuple[Rule, str]] = {
        "schema": (quality.schema_errors, "broken rules of a column"),
        "no_duplicates": (quality.duplicates, "doubled keys"),
        "ohlc_consistency": (quality.inconsistent, "candles"),
    }
    found: dict[str, list[Finding]] = {name: [] for name in _CANDLE_CHECKS}
    for window in windows_of_run(context, settings):
        timeframe = settings.markets[window.market].timeframe
        where = {"market": window.market, "timeframe": timeframe}
        candles = store.read(CANDLES, where=where, start=window.start, end=window.end)
        for name, (rule, unit) in rules.items():
            found[name].append(_apply(rule, unit, candles, window))
        listed = _first_candle(store, window.market, timeframe) or window.start
        found["gap_share"].append(_gaps(candles["ts"], window, timeframe, listed, settings))
    limit = f"{settings.candle_gates.max_gap_share:.1%}"
    look = f"see the table {CANDLES.name} and the asset candles_quarantine"
    for name in selected(context):
        whole = _joined(found[name])
        if name == "gap_share":
            good = f"at most {whole.worst:.2%} of a month's candles are missing, limit {limit}"
            bad = f"more than the limit of {limit} is missing; see candles_quarantine, then materialize candles again"
        else:
            good, bad = "all candles keep the rule", f"the rule '{name}' is broken (allowed: 0); {look}"
        yield verdict(CANDLES.name, name, whole, good=good, bad=bad)


def _first_candle(store: Store, market: str, timeframe: str) -> datetime | None:
    sql = "SELECT min(ts) AS first FROM candles WHERE market = $market AND timeframe = $timeframe"
    first = store.query(sql, {"market": market, "timeframe": timeframe})["first"][0]
    return first if isinstance(first, datetime) else None


def _apply(rule: Rule, unit: str, candles: pl.DataFrame, window: Window) -> Finding:
    """Apply a rule to the whole window; only where it finds something, month by month."""
    examples = rule(candles)
    if examples.is_empty():
        return Finding([], examples)
    rows = [(month.key, rule(_of_month(candles, month)).height) for month in window.months]
    return Finding([f"{key}: {count} {unit}" for key, count in rows if count], examples.head(10))


def _of_month(candles: pl.DataFrame, month: Month) -> pl.DataFrame:
    return candles.filter((pl.col("ts") >= month.start) & (pl.col("ts") < month.end))


def _gaps(times: pl.Series, window: Window, timeframe: str, listed: datetime, settings: Settings) -> Finding:
    """Missing candles per month, from the market's first candle to the last one that can be closed by now.

    A month younger than a day is measured against a whole day: of its first five minutes, one that the exchange has
    not delivered yet would be a fifth.
    """
    bar = timeframe_delta(timeframe)
    closed, least = datetime.now(UTC) - bar, max(timedelta(days=1) // bar, 1)
    bad, worst, rows = [], 0.0, []
    for month in window.months:
        missing, expected = quality.missing_candles(
            times, timeframe=timeframe, start=max(month.start, min(listed, month.end)), end=min(month.end, closed)
        )
        share = missing / (max(expected, least) if month.start <= closed < month.end else max(expected, 1))
        worst = max(worst, share)
        rows.append((month.key, missing, expected, share))
        if share > settings.candle_gates.max_gap_share:
            bad.append(f"{month.key}: {share:.2%} missing ({missing:,} of {expected:,})")
    columns = ["partition", "missing", "expected", "share"]
    return Finding(bad, pl.DataFrame(rows, schema=columns, orient="row"), worst)


def _joined(findings: Sequence[Finding]) -> Finding:
    bad = [text for finding in findings for text in finding.bad]
    examples = [finding.examples for finding in findings if finding.examples.height]
    worst = max((finding.worst for finding in findings), default=0.0)
    return Finding(bad, pl.concat(examples) if examples else pl.DataFrame(), worst)


@dg.asset_check(
    asset=FEATURES.name,
    blocking=True,
    description="No feature of a stored row is null, NaN or infinite: warm-up rows do not exist.",
)
def finite_after_warmup(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Look for feature values that no model should see; a column of a feature that there is no more does not count."""
    known = {*FEATURES.columns, *feature_names()}
    bad, rows = [], []
    for window in windows_of_run(context, settings):
        frame = store.read(FEATURES, where={"market": window.market}, start=window.start, end=window.end)
        frame = frame.select(name for name in frame.columns if name in known)
        if not quality.not_finite(frame):
            continue
        for month in window.months:
            counts = quality.not_finite(_of_month(frame, month))
            rows += [(month.key, name, count) for name, count in counts.items()]
            if counts:
                bad.append(f"{month.key}: {', '.join(list(counts)[:5])}")
    examples = pl.DataFrame(rows, schema=["partition", "feature", "rows"], orient="row")
    return verdict(
        FEATURES.name,
        "finite_after_warmup",
        Finding(bad, examples),
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
    limit = settings.labels.min_class_share
    bad, rows, worst = [], [], 1.0
    for market in sorted({window.market for window in windows_of_run(context, settings)}):
        frame = store.read(LABELS, where={"market": market}, columns=["barrier"])
        shares = quality.class_shares(frame)
        rarest = min(shares["take_profit"], 1 - shares["take_profit"]) if frame.height else 0.0
        worst = min(worst, rarest)
        rows.append((market, frame.height, *shares.values()))
        if rarest < limit:
            bad.append(f"{market}: {rarest:.2%} of {frame.height:,} labels")
    finding = Finding(
        bad, pl.DataFrame(rows, schema=["market", "labels", "take_profit", "stop_loss", "time"], orient="row")
    )
    return verdict(
        LABELS.name,
        "label_balance",
        finding,
        good=f"the rarer outcome is {worst:.2%} of the labels, limit {limit:.2%}",
        bad=f"the rarer outcome is below {limit:.2%}; compare the barriers and the horizon under `labels` in the "
        "settings with how far the market moves",
    )

"""The reference page of the features, written from the registry."""

from __future__ import annotations

import sys
from itertools import groupby

from trading_assets.features import LOOKBACK_BARS, Feature, registry

_HEAD = """# Features

Generated from the registry by `trading_assets.features.reference`; change the registry, not this page.

{count} features per 15-minute bar, known when the bar closes. A value depends on the last *look-back* bars alone, the
present one included, so a day, a year and the live tail give the same numbers; a row exists where all {lookback} bars
of the longest look-back are stored. Look-backs count rows: across missing bars they reach further back in time.
Exponential filters are cut off where their weights are negligible (below 1e-15; averages over 100 bars below 2e-9).
Values are scale-free: neither the price's nor the volume's unit matters.
"""


def markdown() -> str:
    """The page ``docs/reference/features.md``."""
    features = sorted(registry().values(), key=lambda feature: feature.group)
    parts = [_HEAD.format(count=len(features), lookback=f"{LOOKBACK_BARS:,}")]
    for group, members in groupby(features, key=lambda feature: feature.group):
        parts.append(f"## {group.capitalize()}\n")
        parts.append("| feature | what it says | inputs | look-back | unit | range | source |")
        parts.append("|---|---|---|---:|---|---|---|")
        parts.extend(_row(feature) for feature in members)
        parts.append("")
    return "\n".join(parts)


def _row(feature: Feature) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in (feature.low, feature.high))
    bounds = f"{low or '-inf'} .. {high or 'inf'}" if low or high else ""
    cells = (
        f"`{feature.name}`",
        feature.description,
        ", ".join(feature.inputs),
        f"{feature.lookback:,}",
        feature.unit,
        bounds,
        feature.source,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(markdown())

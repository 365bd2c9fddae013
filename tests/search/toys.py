"""A made-up market on which one value of a rule's setting is the best, and searches of it that take milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trading_assets.core.content_hash import frame_hash
from trading_assets.models import Dataset
from trading_assets.models.record import WANTED
from trading_assets.search import Found, look
from trading_assets.settings import EmaCrossRsiSettings, RuleStrategySettings, Settings, StrategySettings, load_settings

MARKET = "sample:A/USDT:USDT"
START = datetime(2025, 1, 1, tzinfo=UTC)
BAR = timedelta(hours=1)
BEST = 12
"""The value of ``fast`` whose signals reach their target."""

LABELS = {"swing": {"timeframe": "1h", "take_profit_pct": 2.0, "stop_loss_pct": 1.0, "horizon_bars": 6}}
FAST = {"rule.fast": {"low": 3, "high": 24}, "min_edge_bps": {"low": 0.0, "high": 10.0}}
FIXED = dict.fromkeys(("rule.slow", "rule.rsi", "rule.overbought", "rule.oversold"))


def project(folder: Path, *, space: dict[str, Any] | None = None, **search: Any) -> Settings:
    """The project's own settings with one rule, whose ``fast`` and least edge are searched."""
    rule = RuleStrategySettings.model_validate(
        {
            "markets": [MARKET],
            "label": "swing",
            "rule": EmaCrossRsiSettings(),
            "walk_forward": {"train_days": 20, "purge_days": 1, "embargo_days": 1, "test_days": 10},
        }
    )
    asked = {"workers": 1, "trials": 30, "space": {"toy": FIXED | (FAST if space is None else space)}, **search}
    base = load_settings(data_dir=folder / "data", labels=LABELS, models={}, markets={MARKET: {"source": "sample"}})
    settings = base.model_copy(update={"models": {"toy": rule}})
    return settings.model_copy(update={"search": type(base.search).model_validate(asked)})


def history(days: int = 120, *, seed: int = 1, edge: float = 0.35) -> pl.DataFrame:
    """``suits``: the ``fast`` that wants a trade on this bar; those near :data:`BEST` win more often."""
    rng, rows = np.random.default_rng(seed), days * 24
    suits = rng.uniform(2, 25, rows)
    hit = rng.random(rows) < 0.3 + edge * (np.abs(suits - BEST) < 1.5)
    ts = pl.datetime_range(START, START + rows * BAR, BAR, closed="left", time_unit="us", eager=True)
    lasted = np.where(hit, rng.integers(1, 7, rows), rng.integers(1, 4, rows))
    return pl.DataFrame({"ts": ts, "suits": suits}).select(
        market=pl.lit(MARKET),
        ts="ts",
        known_at=pl.col("ts") + BAR,
        side=pl.lit(1, pl.Int8),
        label_end=pl.col("ts") + BAR + pl.duration(hours=pl.Series(lasted)),
        label=pl.Series(np.where(hit, 1, -1), dtype=pl.Int8),
        **{"return": pl.Series(np.where(hit, 0.02, -0.01))},
        take_profit=pl.lit(0.02),
        stop_loss=pl.lit(0.01),
        missing_share=pl.lit(0.0),
        dropped=pl.lit(value=False),
        suits="suits",
    )


def builder(frame: pl.DataFrame) -> Callable[[StrategySettings], Dataset]:
    """Makes the data set of the toy rule: it wants the bars that suit its ``fast``."""

    def build(spec: StrategySettings) -> Dataset:
        assert isinstance(spec, RuleStrategySettings)
        assert isinstance(spec.rule, EmaCrossRsiSettings)
        wanted = ((pl.col("suits") - spec.rule.fast).abs() < 1).cast(pl.Float64).alias(WANTED)
        made = frame.with_columns(wanted).drop("suits")
        return Dataset(made, (WANTED,), "toy", frame_hash(made), made["known_at"][0], made["known_at"][-1])

    return build


def found_in(settings: Settings, frame: pl.DataFrame, **given: Any) -> Found:
    """A search that writes nothing down, unless a storage is given."""
    return look(settings, "toy", builder(frame), **{"storage": None} | given)


def tried(found: Found) -> list[tuple[dict[str, Any], str, float | None]]:
    """What each trial tried, and how it ended."""
    return [(one.params, one.state.name, one.value) for one in found.trials]

"""The page on quality gates says what the checks and the quarantine say."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from trading_assets.quality import CANDLE_CHECKS
from trading_assets.quality.gallery import EXAMPLES, FOLDER, Example, draw, judge
from trading_assets.settings import PROJECT_ROOT
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.ingest import quarantine
from trading_assets.sources.ingest.candle_validation import RULES, split_valid

PAGE = (PROJECT_ROOT / "docs" / "concepts" / "quality-gates.md").read_text()
START = datetime(2025, 3, 4, 5, 6, tzinfo=UTC)
GOOD = (10.0, 12.0, 9.0, 11.0, 5.0)
BAD: dict[str, list[tuple[object, ...]]] = {
    "missing_value": [(START, 10.0, None, 9.0, 11.0, 5.0)],
    "not_finite": [(START, 10.0, 12.0, 9.0, math.nan, 5.0)],
    "non_positive_price": [(START, 10.0, 12.0, 0.0, 11.0, 5.0)],
    "high_too_low": [(START, 10.0, 10.5, 9.0, 11.0, 5.0)],
    "low_too_high": [(START, 10.0, 12.0, 10.5, 11.0, 5.0)],
    "negative_volume": [(START, *GOOD[:4], -5.0)],
    "off_grid": [(START + timedelta(seconds=7), *GOOD)],
    "outside_window": [(START - timedelta(minutes=6), *GOOD)],
    "not_closed": [(START + timedelta(minutes=50), *GOOD)],
    "conflicting_duplicate": [(START, *GOOD), (START, *GOOD[:4], 6.0)],
}


@pytest.mark.parametrize("reason", RULES)
def test_the_page_shows_how_each_reason_is_explained(reason: str) -> None:
    now = START + timedelta(minutes=50, seconds=48)
    page = pl.DataFrame(BAD[reason], schema=RAW_COLUMNS, orient="row")
    _, bad = split_valid(page, market="m:A/B", timeframe="1m", start=START, end=START + timedelta(hours=1), now=now)
    (said,) = quarantine.explain(bad.with_columns(seen_at=pl.lit(now)).row(0, named=True), bad)
    name, sentence = said.split(": ", 1)
    sentence = sentence.replace("05:57:00", "05:07:00")
    releasable = "yes" if reason in quarantine.RELEASABLE else "no"
    assert f"| `{name}` | {sentence} | {releasable} | {quarantine.REMEDIES[reason]} |" in PAGE


def test_the_page_lists_every_check_with_its_severity_limits_and_defaults() -> None:
    table = PAGE[PAGE.index("| check | severity | limit") : PAGE.index("## What each check")]
    listed: dict[str, dict[str, str]] = {}
    check = ""
    for line in table.splitlines()[2:]:
        if line.startswith("| "):
            name, severity, limit, default, *_ = (cell.strip(" `") for cell in line.strip("|").split("|"))
            check = name or check
            if name:
                listed[check] = {"severity": severity}
            if limit:
                listed[check][limit] = default
    shown = {name: {k: v if k == "severity" else float(v) for k, v in gate.items()} for name, gate in listed.items()}
    assert shown == QualitySettings().model_dump()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.check)
def test_each_check_has_an_example_that_it_finds_and_the_page_quotes_it(example: Example, real_candles: Path) -> None:
    _, finding = judge(example, real_candles)
    assert finding.summary() in PAGE
    assert CANDLE_CHECKS[example.check].remedy in PAGE


def test_every_check_has_a_small_picture() -> None:
    assert {example.check for example in EXAMPLES} == set(CANDLE_CHECKS)
    for name in CANDLE_CHECKS:
        assert f"(../images/quality/{name}.png)" in PAGE
        assert 0 < (FOLDER / f"{name}.png").stat().st_size < 60_000


def test_a_picture_is_drawn(real_candles: Path) -> None:
    (example,) = (example for example in EXAMPLES if example.check == "outliers")
    assert draw(example, *judge(example, real_candles)).startswith(b"\x89PNG")

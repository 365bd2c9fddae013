"""A threshold that a trade's costs and barriers make meaningless is told when settings are read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml

from trading_assets.settings import PROJECT_ROOT, load_settings
from trading_assets.settings.survey import below_break_even
from trading_assets.strategies.entry_rule import EntryRule


def written(folder: Path, name: str, *, labels: dict[str, object], **model: object) -> Path:
    base = yaml.safe_load((PROJECT_ROOT / "trading.yaml").read_text())
    first = next(iter(base["models"]))
    base["models"] = {name: base["models"][first] | model}
    base["labels"] = {base["models"][name].get("label", "default"): labels}
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(base))
    return file


FIXED = {"take_profit_pct": 2.0, "stop_loss_pct": 1.0}


def test_a_threshold_below_break_even_is_told_once_with_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path, "told_once", labels=FIXED, threshold=0.35)
    with caplog.at_level(logging.WARNING):
        settings = load_settings(file)
        load_settings(file)
    (said,) = [record.getMessage() for record in caplog.records if "told_once" in record.getMessage()]
    costs = settings.trading.costs.round_trip_bps
    even = EntryRule(costs).break_even(2.0, 1.0)
    assert said.startswith(
        f"models.told_once.threshold: 0.35 is below break-even: a target of 2 % and a stop of 1 % ask for {even:.3f} "
        f"after costs of {costs:g} bps; it decides nothing"
    )
    assert f"({file}:" in said


def test_a_threshold_above_break_even_and_none_at_all_are_not_told(tmp_path: Path) -> None:
    for threshold in (0.55, None):
        assert below_break_even(load_settings(written(tmp_path, "m", labels=FIXED, threshold=threshold))) == []


def test_of_scaled_barriers_the_ratio_is_told(tmp_path: Path) -> None:
    scaled = {"barriers": "atr", "take_profit_multiple": 3.0, "stop_loss_multiple": 1.0}
    (said,) = below_break_even(load_settings(written(tmp_path, "m", labels=scaled, threshold=0.2)))
    assert "3 and 1 times the scale ask for 0.250 before costs" in said.why
    assert below_break_even(load_settings(written(tmp_path, "m", labels=scaled, threshold=0.25))) == []


def test_who_wants_losing_trades_is_told_that_they_lose(tmp_path: Path) -> None:
    (said,) = below_break_even(load_settings(written(tmp_path, "m", labels=FIXED, threshold=0.3, min_edge_bps=-50.0)))
    assert "expected to lose are let through (min_edge_bps -50)" in said.why

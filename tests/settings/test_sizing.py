"""The section `trading.sizing`: by kind, and as it was before there were kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets.core.errors import SettingsError
from trading_assets.settings import EquityShareSettings, RiskPerTradeSettings, load_settings

_PROJECT = """
sources: {sample: {kind: sample}}
markets: {"sample:SYNA/USDT": {source: sample}}
"""


def project(folder: Path, trading: str) -> Path:
    file = folder / "trading.yaml"
    file.write_text(f"{_PROJECT}trading: {trading}\n")
    return file


def test_a_section_without_a_kind_is_the_share_of_equity_that_it_was(tmp_path: Path) -> None:
    found = load_settings(project(tmp_path, "{sizing: {position_share: 0.2, kelly_fraction: 0.01}}")).trading.sizing
    assert found == EquityShareSettings(position_share=0.2, kelly_fraction=0.01, max_volume_share=0.1)
    assert load_settings(project(tmp_path, "{}")).trading.sizing == EquityShareSettings()


def test_another_kind_is_not_merged_with_the_defaults_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project(tmp_path, "{sizing: {kind: risk_per_trade, profile: bold}}")
    assert load_settings(file).trading.sizing == RiskPerTradeSettings(profile="bold")
    assert load_settings(file).simulation.sizing == RiskPerTradeSettings(profile="bold")
    monkeypatch.setenv("TRADING_TRADING__SIZING__RISK_SHARE", "0.005")
    found = load_settings(file).trading.sizing
    assert isinstance(found, RiskPerTradeSettings)
    assert found.risk == 0.005


def test_the_parameter_of_another_kind_is_named(tmp_path: Path) -> None:
    file = project(tmp_path, "{sizing: {kind: kelly, position_share: 0.2}}")
    with pytest.raises(SettingsError, match=r"position_share.* is of the kind equity_share"):
        load_settings(file)

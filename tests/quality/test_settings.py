"""A second exchange is another market of the settings with candles of the same length."""

from __future__ import annotations

import pytest

from trading_assets.core.errors import SettingsError
from trading_assets.settings import load_settings

SOURCE = {"sample": {"kind": "sample"}}
A, B = "sample:SYNA/USDT:USDT", "sample:SYNB/USDT:USDT"
MODELS = {"a": {"markets": [A]}}


@pytest.mark.parametrize(
    ("second", "timeframe", "message"),
    [
        ("sample:NONE/USDT", "1m", "no second_exchange 'sample:NONE/USDT'"),
        (A, "1m", "no second_exchange"),
        (B, "5m", "only equal ones can be compared"),
    ],
)
def test_a_second_exchange_that_cannot_be_compared_is_refused(second: str, timeframe: str, message: str) -> None:
    markets = {A: {"source": "sample", "second_exchange": second}, B: {"source": "sample", "timeframe": timeframe}}
    with pytest.raises(SettingsError, match=message):
        load_settings(sources=SOURCE, markets=markets, models=MODELS)


def test_one_limit_can_be_set_by_the_environment_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_QUALITY__OUTLIERS__MAX_Z", "80")
    monkeypatch.setenv("TRADING_QUALITY__ZERO_VOLUME__SEVERITY", "off")
    quality = load_settings().quality
    assert (quality.outliers.max_z, quality.outliers.severity, quality.outliers.min_move_pct) == (80, "warn", 2)
    assert quality.severity("zero_volume") == "off"

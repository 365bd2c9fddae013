"""What features are called now whose windows were written in bars of 15 minutes and mean a length of time."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_PER_DAY: Final = """
    sma_{}_distance high_{}_distance low_{}_distance roc_{} close_percentile_{} donchian_position_{} donchian_width_{}
    realised_volatility_{} parkinson_{} garman_klass_{} rogers_satchell_{} yang_zhang_{} downside_share_{}
    realised_skewness_{} realised_kurtosis_{} largest_fall_{} largest_rise_{} bipower_{} jump_share_{} vwap_{}_distance
    volume_zscore_{} traded_share_{} quiet_return_{} busy_return_{} volume_concentration_{} efficiency_ratio_{}
    relative_strength_{} funding_change_{} sentiment_change_{}
"""
_PER_WEEK: Final = """
    sma_{}_distance high_{}_distance low_{}_distance roc_{} realised_volatility_{} natr_percentile_{}
    volatility_regime_{}
"""

RENAMED: Final = MappingProxyType(
    {name.format(96): name.format("1d") for name in _PER_DAY.split()}
    | {name.format(672): name.format("7d") for name in _PER_WEEK.split()}
    | {
        "roc_48": "roc_12h",
        "volatility_ratio_16_96": "volatility_ratio_4h_1d",
        "volatility_ratio_96_672": "volatility_ratio_1d_7d",
        "illiquidity_ratio_16_672": "illiquidity_ratio_4h_7d",
    }
)
"""Old name -> new name; on 15 minutes both have the same values."""

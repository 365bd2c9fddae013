"""Features chosen by name, family or pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trading_assets.core.errors import SettingsError
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings.names import nearest

if TYPE_CHECKING:
    from trading_assets.features.framework.declaration import Declaration

_LEAVE_OUT: Final = "leave it out there"

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
"""Old name -> new name, of windows that were written in bars of 15 minutes and mean a length of time; there the values
are the same."""


def chosen_names(wanted: Sequence[str], declared: Mapping[str, Declaration], timeframe: Timeframe) -> set[str]:
    """The names of the features that are meant and defined on a timeframe.

    Parameters
    ----------
    wanted
        Names (``rsi_14``), families (``momentum``) and patterns (``rsi_*``, ``[hl]*_1d_distance``).
    declared
        Every feature's declaration.

    Raises
    ------
    SettingsError
        One of them means no feature that is defined on the timeframe, or nothing is wanted.
    """
    if not wanted:
        raise SettingsError("no features are chosen", remedy="name features, families or patterns, or leave it out")
    return {name for one in wanted for name in _meant(one, declared, timeframe)}


def _meant(one: str, declared: Mapping[str, Declaration], timeframe: Timeframe) -> list[str]:
    found = [name for name, declaration in declared.items() if one in (name, declaration.family)]
    found = found or [name for name in declared if fnmatchcase(name, one)]
    if not found:
        families = dict.fromkeys(declaration.family for declaration in declared.values())
        raise SettingsError(
            f"there is no feature, family or pattern {one!r}",
            remedy=f"it is called {RENAMED[one]!r}"
            if RENAMED.get(one) in declared
            else nearest(one, [*declared, *families]) or f"families: {', '.join(families)}",
        )
    defined = [name for name in found if not declared[name].undefined(timeframe)]
    if not defined:
        why = declared[found[0]].undefined(timeframe)
        what = found[0] if len(found) == 1 else f"none of the {len(found)} features of {one!r}"
        raise SettingsError(f"{what} is{' not' * (len(found) == 1)} defined on {timeframe}: {why}", remedy=_LEAVE_OUT)
    return defined if one in declared else _short_enough(one, defined, declared, timeframe)


def _short_enough(one: str, names: list[str], declared: Mapping[str, Declaration], timeframe: Timeframe) -> list[str]:
    """Those of a family or pattern that do not look back for longer than three years."""
    found = [name for name in names if not declared[name].too_long(timeframe)]
    if not found:
        raise SettingsError(
            f"on {timeframe} all features of {one!r} look back for longer than three years",
            remedy=f"name those that are wanted, e.g. {names[0]}",
        )
    return found

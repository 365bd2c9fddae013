"""Features chosen by name, family or pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from trading_assets.core.errors import SettingsError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.renamed import RENAMED
from trading_assets.settings.names import nearest

if TYPE_CHECKING:
    from trading_assets.features.framework.declaration import Declaration

_LEAVE_OUT = "leave it out there"


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

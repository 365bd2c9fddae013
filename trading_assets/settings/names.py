"""What to say of a name that is not there: the nearest that is, and what else there is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from trading_assets.core.errors import SettingsError

_SHOWN: Final = 12


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'b'?``, or nothing where no known name is near; case does not count."""
    folded = {one.casefold(): one for one in known}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"did you mean {folded[found[0]]!r}?" if found else ""


def instead(name: str, known: Iterable[str]) -> str:
    """The nearest known name, and the known ones; a long list is cut."""
    names = list(known)
    return f"{nearest(name, names)} known: {listed(names)}".strip() if names else "none is defined yet"


def listed(names: Sequence[str]) -> str:
    """Names with commas; a long list is cut."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def check_known(name: str, known: Collection[str], what: str) -> None:
    """Refuse a name that the settings do not have."""
    if name not in known:
        raise SettingsError(f"no {what} {name!r} in the settings", remedy=instead(name, known))

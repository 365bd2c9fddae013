"""Keys of an account: from the environment alone, under the names that the engine's adapters read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from trading_live.venues.account.contract import VenueError

_NAMES: Final = MappingProxyType(
    {
        ("binance", "perpetual", "live"): ("BINANCE_API_KEY", "BINANCE_API_SECRET"),
        ("binance", "perpetual", "testnet"): ("BINANCE_FUTURES_TESTNET_API_KEY", "BINANCE_FUTURES_TESTNET_API_SECRET"),
        ("binance", "spot", "live"): ("BINANCE_API_KEY", "BINANCE_API_SECRET"),
        ("binance", "spot", "testnet"): ("BINANCE_TESTNET_API_KEY", "BINANCE_TESTNET_API_SECRET"),
        ("bybit", "", "live"): ("BYBIT_API_KEY", "BYBIT_API_SECRET"),
        ("bybit", "", "testnet"): ("BYBIT_TESTNET_API_KEY", "BYBIT_TESTNET_API_SECRET"),
        ("okx", "", "live"): ("OKX_API_KEY", "OKX_API_SECRET", "OKX_API_PASSPHRASE"),
        ("okx", "", "testnet"): ("OKX_API_KEY", "OKX_API_SECRET", "OKX_API_PASSPHRASE"),
        ("kraken", "perpetual", "live"): ("KRAKEN_FUTURES_API_KEY", "KRAKEN_FUTURES_API_SECRET"),
        ("kraken", "perpetual", "testnet"): ("KRAKEN_FUTURES_DEMO_API_KEY", "KRAKEN_FUTURES_DEMO_API_SECRET"),
        ("kraken", "spot", "live"): ("KRAKEN_SPOT_API_KEY", "KRAKEN_SPOT_API_SECRET"),
    }
)
"""Venue, product (empty where one account has all) and environment -> variables of key, secret and passphrase."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What requests are signed with; its text never shows it."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)

    @property
    def values(self) -> tuple[str, ...]:
        """All of it, for what must not show it."""
        return tuple(one for one in (self.key, self.secret, self.passphrase) if one)


def credential_names(venue: str, product: str, environment: str) -> tuple[str, ...]:
    """The environment variables that hold the keys of an account; none where the venue has no such environment."""
    return _NAMES.get((venue, product, environment)) or _NAMES.get((venue, "", environment)) or ()


def credentials(venue: str, product: str, environment: str) -> Credentials:
    """The keys of an account.

    Raises
    ------
    VenueError
        If the venue has no such environment, or a variable is not set.
    """
    place = f"{venue} {environment}"
    names = credential_names(venue, product, environment)
    if not names:
        raise VenueError(
            f"{venue} has no {environment} of {product} accounts", where=place, remedy="set node.environment"
        )
    if missing := [name for name in names if not os.environ.get(name)]:
        raise VenueError(
            f"no key in {' and '.join(missing)}",
            where=place,
            remedy="set it in the environment of the node, nowhere else",
        )
    return Credentials(*(os.environ[name] for name in names))

"""What must never be shown: the keys and passwords of this process's environment, in one list.

Logs, errors and the terminal replace them by ``***``.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import unquote

KEYS_PREFIX: Final = "TRADING_KEYS__"
"""Environment variables with this prefix hold exchange keys: read where they are used, never shown."""

ALERT_URL: Final = "_ALERT_URL"
"""How variables end that hold the address of an alert channel: the whole of it is a secret, and each part."""

ENDINGS: Final = (
    *("_API_KEY", "_ACCESS_KEY", "_PRIVATE_KEY", "_SECRET_KEY", "_SECRET", "_TOKEN"),
    *("_PASSPHRASE", "_PASSWORD", "PGPASSWORD", ALERT_URL),
)
"""How variables end that hold a secret, whoever reads them.

Adapters and clients have names of their own: ``BINANCE_API_KEY``, ``BYBIT_TESTNET_API_SECRET``, ``OKX_API_PASSPHRASE``,
``KRAKEN_FUTURES_API_SECRET``, ``POLYGON_API_KEY``, ``MASSIVE_API_KEY``, ``MLFLOW_TRACKING_PASSWORD``.
"""

_PASSWORD_IN_ADDRESS: Final = re.compile(r"\w://[^\s/:@]*:([^\s/]+)@|[?&](?:ssl)?password=([^&\s#]+)")
_SHORTEST: Final = 4
"""Shorter values are no secrets, and replacing them would garble every text."""

_SHORTEST_TOKEN: Final = 6
_LONGEST_WORD: Final = 16

MASK: Final = "***"


def without_secrets(*texts: str) -> list[str]:
    """Texts with every secret of the environment replaced by ``***``.

    Secrets are the values of the variables under ``KEYS_PREFIX`` and of those named like ``ENDINGS``, and the password
    inside of any variable that holds an address (``TRADING_STORE__URL``, ``DAGSTER_POSTGRES_URL``), as it is written
    there and as it is meant.
    """
    for secret in _secrets():
        texts = tuple(text.replace(secret, MASK) for text in texts)
    return list(texts)


def _secrets() -> list[str]:
    """Longest first, so that no part of one is left where it holds another."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if name.startswith(KEYS_PREFIX) or name.upper().endswith(ENDINGS):
            found.add(value)
            if name.upper().endswith(ALERT_URL):
                found.update(filter(_tells, parts_of(value)))
        if "://" in value:
            passwords = [password for groups in _PASSWORD_IN_ADDRESS.findall(value) for password in groups]
            found.update(passwords, map(unquote, passwords))
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)


def parts_of(address: str) -> set[str]:
    """What an address is made of, as it is written there and as it is meant, without its scheme.

    >>> sorted(parts_of("tgram://123456:AbC/chat"))
    ['123456', 'AbC', 'chat']
    """
    _, _, rest = address.partition("://")
    parts = {part for part in re.split(r"[/:@?&=#,]", rest) if part}
    return parts | {unquote(part) for part in parts}


def _tells(part: str) -> bool:
    """Whether a part of an alert channel's address is a token: no word, host or port that texts may well have."""
    return len(part) >= _LONGEST_WORD or (len(part) >= _SHORTEST_TOKEN and bool(re.search(r"\d", part)))

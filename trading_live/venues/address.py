"""Whether an address is one of this machine, by whoever reads it."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

_PLAIN: Final = re.compile(r"(?:http|ws)s?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:/[^\\\s@]*)?", re.ASCII)
"""Scheme, host, port, path: what holds anything else (a user before an ``@``, a backslash) has readers who disagree."""


def is_loopback(address: str) -> bool:
    """Whether an address is beyond doubt one of this machine.

    >>> is_loopback("http://127.0.0.1:8790"), is_loopback("http://127.0.0.1.example.org")
    (True, False)
    """
    if not _PLAIN.fullmatch(address):
        return False
    with suppress(ValueError):
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False

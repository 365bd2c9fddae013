"""The account of the stories: its times, and what our orders are called."""

from __future__ import annotations

from typing import Any

T = 1_700_000_000_000
ISO = "2023-11-14T22:13:20.000Z"
TARGET, STOP, ENTRY, HIT = "tmain00000000tp001", "tmain00000000sl001", "tmain00000000en000", "tmain00000000sl000"


def by(name: str, found: dict[str, Any], otherwise: Any):
    """An answer that depends on one parameter."""
    return lambda params: found.get(str(params.get(name)), otherwise)

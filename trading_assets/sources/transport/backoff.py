"""How long to wait between two attempts: exponential back-off with jitter, or as long as the other side asks for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

LONGEST_S: Final = 60.0
"""Ceiling of the growing wait."""

LONGEST_ASKED_S: Final = 600.0
"""A longer wait than this is not sat out: the caller gives up and says for how long it was told to wait."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Patience with a server.

    The wait before attempt n (n >= 2) is ``first_s * 2 ** (n - 2)``, at most ``LONGEST_S``, times a random factor
    between a half and one, so that clients which failed together do not come back together.

    Parameters
    ----------
    attempts
        How often a request is made before giving up.
    first_s
        The wait before the second attempt, before jitter.
    """

    attempts: int
    first_s: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default=random.random, repr=False)

    def before(self, attempt: int, *, at_least_s: float | None = None) -> float:
        """Seconds to wait before an attempt, no less than the server asked for."""
        grown = min(self.first_s * 2.0 ** (attempt - 2), LONGEST_S)
        return max(grown * (0.5 + 0.5 * self.chance()), at_least_s or 0.0)

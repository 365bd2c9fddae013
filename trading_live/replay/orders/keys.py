"""The keys of the local exchange's account: made up, published, and worth nothing anywhere else."""

from __future__ import annotations

from typing import Final

REHEARSAL_KEY: Final = "rehearsalkeyrehearsalkeyrehearsalkeyrehearsalkeyrehearsalkey0001"
REHEARSAL_SECRET: Final = "rehearsalsecretrehearsalsecretrehearsalsecretrehearsalsecret0001"

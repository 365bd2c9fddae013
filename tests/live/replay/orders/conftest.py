"""A local exchange that stands, with an account and with faults to come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.replay.orders.tapes import walk
from tests.live.replay.standing import standing
from trading_live.replay import Faults, ReplayServer
from trading_live.replay.tape import Tape


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def tape() -> Tape:
    return walk()


@pytest.fixture
def server(tape: Tape, faults: Faults) -> Iterator[ReplayServer]:
    with standing(tape, faults=faults) as running:
        yield running

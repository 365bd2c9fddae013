"""Worlds of a node that is watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.live.metrics.world import World
from trading_assets.settings import Settings

Make = Callable[..., World]


@pytest.fixture
def world(settings: Settings) -> Iterator[Make]:
    """Makes a node's parts in a folder of its own."""
    made: list[World] = []

    def make(**parts: Any) -> World:
        made.append(World(settings, **parts))
        return made[-1]

    yield make
    for one in made:
        one.end()

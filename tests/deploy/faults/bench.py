"""What a fault of an alert is made from, and what it gives: pages that are scraped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from tests.backtest.worlds import A
from tests.live.metrics.world import Scrape, World
from trading_assets.monitoring.exported.page import Page
from trading_assets.registry.deployment import DeployedModel
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_live.metrics.exposition import text_of_page
from trading_live.node.decisions.admission import ModelInUse


@dataclass(frozen=True)
class Pages:
    """What is scraped, one page a minute at the end, the first one as long before as it takes."""

    well: Scrape
    faulty: Iterable[Scrape]


@dataclass(frozen=True)
class Bench:
    """What a fault is made from."""

    settings: Settings
    store: Store
    world: Callable[..., World]


Fault = Callable[[Bench], Pages]
FAULTS: dict[str, Fault] = {}


def provokes(alert: str) -> Callable[[Fault], Fault]:
    """The fault of an alert."""

    def named(fault: Fault) -> Fault:
        FAULTS[alert] = fault
        return fault

    return named


def constant(well: Scrape, faulty: Scrape) -> Pages:
    return Pages(well, [faulty])


def one(name: str, value: float) -> Scrape:
    return Scrape({name: value})


def of_page(page: Page) -> Scrape:
    return Scrape.of(text_of_page(page, time.monotonic()))


def with_model(world: World) -> World:
    """A model in use that decides nothing here: the entries are scripted."""
    deployed = DeployedModel(
        model="m", version=1, bundle="b", bundle_hash="0" * 64, markets=(A,), deployed_at=datetime.now(UTC)
    )
    world.models._models["m"] = ModelInUse(deployed, cast("Any", None))
    return world

"""Faults of the decisions: none, slow ones, models that are not there."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from tests.backtest.worlds import A, signals
from tests.deploy.faults.bench import Bench, Pages, constant, provokes, with_model
from tests.live.metrics.world import Scrape, World
from tests.models.bundles import made
from tests.strategies.orders.test_full_disk import Disk
from trading_assets.registry.deployment import DeployedModel, deploy, shadow

ENTRIES = signals(*((A, n, 0.7) for n in range(12)))


@provokes("TradingNoDecisions")
def mute(bench: Bench) -> Pages:
    node = with_model(bench.world(entries=signals()))
    node.run(1)
    well = node.scrape()
    node.clock.seconds += 3600  # bars go on to come, and nothing is said on them
    node.run(1)
    return constant(well, node.scrape())


class SlowDisk(Disk):
    """Each entry waits more than half a second for it."""

    def record_all(self, events: Any) -> list[int]:
        time.sleep(0.6)
        return super().record_all(events)


@provokes("TradingDecisionsSlow")
def slow(bench: Bench) -> Pages:
    node = bench.world(journal_of=SlowDisk)
    well = node.scrape()
    node.run(1)
    return constant(well, node.scrape())


@provokes("TradingModelMissing")
def file_lost(bench: Bench) -> Pages:
    """The only deployed bundle loses a file, and the node is started again."""
    settings = bench.settings
    bundle = made("rule momentum", settings.bundles_dir)
    deploy(settings.live_dir, DeployedModel.of(bundle, 1, settings.data_dir, datetime.now(UTC)))

    def started() -> Scrape:
        node = World(settings)
        node.models.refresh()
        page = node.scrape()
        node.end()
        return page

    well = started()
    (bundle.folder / "long" / "record.json").unlink()
    return constant(well, started())


def deployed(model: str) -> DeployedModel:
    return DeployedModel(
        model=model, version=1, bundle="nowhere", bundle_hash="0" * 64, markets=(A,), deployed_at=datetime.now(UTC)
    )


@provokes("TradingModelRefused")
def refused(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    deploy(node.settings.live_dir, deployed("syna"))
    node.models.refresh()
    return constant(well, node.scrape())


@provokes("TradingChallengerSetAside")
def set_aside(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    deploy(node.settings.live_dir, deployed("syna"))
    shadow(node.settings.live_dir, deployed("syna").model_copy(update={"version": 2, "bundle_hash": "1" * 64}))
    node.challengers.refresh()
    return constant(well, node.scrape())

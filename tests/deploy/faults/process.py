"""Faults of the node's process: it dies, hangs, halts, cannot write."""

from __future__ import annotations

import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.error import URLError

from tests.backtest.worlds import START, A
from tests.deploy.faults.bench import Bench, Pages, constant, of_page, one, provokes
from tests.live.metrics.world import Scrape, World
from tests.live.node.test_parts import beat
from tests.strategies.orders.test_full_disk import Disk
from trading_assets.monitoring.exported.page import Page
from trading_assets.settings import Settings
from trading_assets.strategies.signals import ClosedBar
from trading_live.metrics.outside import read_folder
from trading_live.operations import kill_switch
from trading_live.operations.heartbeat import NodeLock


@provokes("TradingNodeDown")
def no_answer(bench: Bench) -> Pages:
    """A page that is served, and then is not."""
    node = bench.world()

    def up(port: int | None) -> float:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                return float(answer.status == 200)
        except URLError:
            return 0.0

    with node.metrics.serving(lambda event, detail: None) as port:
        well = up(port)
    return constant(one('up{job="trading-node"}', well), one('up{job="trading-node"}', up(port)))


def folder(settings: Settings) -> Scrape:
    page = Page()
    read_folder(page, settings)
    return of_page(page)


@provokes("TradingNodeDead")
def no_process(bench: Bench) -> Pages:
    lock = NodeLock(bench.settings.live_dir)
    lock.acquire()
    lock.beat(beat(started_at=datetime.now(UTC)))
    well = folder(bench.settings)
    lock.release()
    return constant(well, folder(bench.settings))


@provokes("TradingHeartbeatStale")
def engine_hangs(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    node.clock.seconds += 60  # and no heartbeat comes
    return constant(well, Scrape.of(node.metrics.text()))


@provokes("TradingNodeNotReady")
def never_ready(bench: Bench) -> Pages:
    node = bench.world()
    return constant(node.scrape("trading"), node.scrape("connecting"))


@provokes("TradingNodeRestarts")
def dies_again_and_again(bench: Bench) -> Pages:
    """One process after the other on the same folder, each of which dies."""
    pages = []
    for _ in range(6):
        process = World(bench.settings)
        pages.append(process.scrape())
        process.end()
    return Pages(pages[0], pages[1:])


@provokes("TradingHalted")
def halted(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    node.strategy.halt("the test says so")
    return constant(well, node.scrape())


@provokes("TradingKillSwitchOn")
def killed(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    kill_switch.engage(node.settings.live_dir, "too hot")
    return constant(well, node.scrape())


class Broken:
    """A source of signals with a defect."""

    def on_bars(self, bars: Any) -> Any:
        raise ZeroDivisionError("as it is")


@provokes("TradingEngineErrors")
def breaks(bench: Bench) -> Pages:
    node = bench.world(source=Broken())
    well = node.scrape()
    node.run(1)
    return constant(well, node.scrape())


@provokes("TradingJournalTrouble")
def disk_full(bench: Bench) -> Pages:
    node = bench.world(journal_of=Disk)
    well = node.scrape()
    cast("Disk", node.journal).fill()
    node.pulse.tell("something", "x" * 10_000)
    return constant(well, node.scrape())


@provokes("TradingDiskLow")
def disk_low(bench: Bench) -> Pages:
    well = bench.world().scrape()
    node = bench.settings.node.model_copy(update={"min_free_mb": 1e12})
    faulty = bench.world(bench.settings.model_copy(update={"node": node})).scrape()
    return constant(well, faulty)


@provokes("TradingPageIncomplete")
def unreadable(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    node.metrics.counts.heard = cast("Any", None)
    return constant(well, node.scrape())


@provokes("TradingQueueGrows")
def queue(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    for number in range(300):
        ts = START + timedelta(minutes=15 * number)
        node.strategy._queue.add(ClosedBar(A, "15m", ts, ts + timedelta(minutes=15), 1, 1, 1, 1, 1))
    return constant(well, node.scrape())

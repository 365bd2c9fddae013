"""Faults of the bars: silence, implausible ones, lost ones, and clocks."""

from __future__ import annotations

from datetime import timedelta

from nautilus_trader.common import SocketState, SocketStateChanged
from nautilus_trader.core import UUID4
from nautilus_trader.model import ClientId, TraderId, Venue

from tests.backtest.worlds import START, flat
from tests.deploy.faults.bench import Bench, Pages, constant, provokes, with_model
from tests.live.metrics.world import STREAM


@provokes("TradingMarketDataStale")
def silence(bench: Bench) -> Pages:
    node = with_model(bench.world())
    node.run(1)
    well = node.scrape()
    node.clock.seconds += 3600  # heartbeats come, bars do not
    return constant(well, node.scrape())


@provokes("TradingFeedQuarantined")
def implausible(bench: Bench) -> Pages:
    node = bench.world(rows=[*flat(40), (100, 900, 100, 900), *flat(200, 100)])
    node.run(0.6)
    well = node.scrape()
    node.run(0.4)
    return constant(well, node.scrape())


@provokes("TradingClockSkew")
def slow_clock(bench: Bench) -> Pages:
    node = bench.world()
    node.run(0.5)
    well = node.scrape()
    node.clock.at = START  # by this machine, no bar can have ended yet
    node.run(0.5)
    return constant(well, node.scrape())


@provokes("TradingReconnectStorm")
def storm(bench: Bench) -> Pages:
    node = bench.world()
    sockets = node.metrics._connections
    ids = (TraderId("TRADER-001"), ClientId("BINANCE"), Venue("BINANCE"), "ws://venue")

    def change(state: SocketState) -> None:
        sockets.on_socket_state(SocketStateChanged(*ids, state, UUID4(), 0, 0))

    change(SocketState.CONNECTED)
    change(SocketState.DISCONNECTED)
    change(SocketState.CONNECTED)
    well = node.scrape()
    for _ in range(12):
        change(SocketState.DISCONNECTED)
        change(SocketState.CONNECTED)
    return constant(well, node.scrape())


@provokes("TradingBarsMissing")
def missing(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    node.loader.missing(STREAM, START, START + timedelta(hours=10))
    return constant(well, node.scrape())

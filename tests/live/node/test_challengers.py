"""Challengers beside a model that trades: a real node without any, one with eight that come, go and break, and the
first one again in shadow, where nobody trades."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, MakeBundle, put_live, rewrite_model
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets import models
from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, load_journal, shadow_signals
from trading_assets.lineage import JournalEvents, explain
from trading_assets.registry.deployment import DeployedModel, shadow, unshadow
from trading_assets.store import open_store
from trading_assets.store.tables import SHADOW_SIGNALS
from trading_live.replay.orders.binance.rest import SIGNED

BARS = 16
EIGHT = range(2, 10)
QUICK = {"TRADING_NODE__POLL_DEPLOYMENT_S": "0.2"}
IN_SHADOW = {"TRADING_NODE__MODE": "shadow"}
ID = re.compile(r"([OT])-[0-9a-f]+-(?:[0-9]{6}-)?")
"""Of the engine's names of orders and trades, what comes of this machine's clock or of chance."""


def put_in_shadow(one: Desk, bundle: models.Bundle, version: int) -> None:
    shadow(one.settings.live_dir, DeployedModel.of(bundle, version, one.settings.data_dir, datetime.now(UTC)))


def run(one: Desk, make_bundle: MakeBundle, *, challengers: bool) -> None:
    """The same hours with and without challengers; with them, some come, go and break on the way."""
    bundles = one.settings.bundles_dir
    put_live(one.settings, make_bundle(bundles))
    eager, shy = make_bundle(bundles, threshold=0.01), make_bundle(bundles, threshold=0.9)
    for version in EIGHT if challengers else ():
        put_in_shadow(one, shy if version == 9 else eager, version)
    one.server.pause()
    process = one.start(module="tests.live.node.patient")
    try:
        if challengers:
            wait_for(lambda: len(one.told("challenger in shadow")) == len(EIGHT), while_alive=process)
        one.server.go_on()
        if challengers:
            wait_for(lambda: one.journal()["shadow"].height >= 4, while_alive=process)
            one.notes["status"] = one.status()
            unshadow(one.settings.live_dir, "syna", 2)
            put_in_shadow(one, shy, 3)
            malformed = rewrite_model(
                make_bundle(bundles, threshold=0.7), lambda text: re.sub(r"tree_sizes=\d+", "tree_sizes=5", text)
            )
            put_in_shadow(one, malformed, 10)
            wait_for(lambda: one.told("challenger set aside") and is_swapped(one), while_alive=process)
        wait_for(lambda: one.signals().height >= BARS, while_alive=process)
        process.send_signal(signal.SIGTERM)
        one.notes["end"] = finish(process)
    finally:
        process.kill()


def is_swapped(one: Desk) -> bool:
    """Whether the newest bar was answered without version 2, and by the other version 3."""
    answers = shadow_signals(one.journal()["shadow"])
    last = answers.filter(pl.col("bar_ts") == answers["bar_ts"].max())["model_version"].to_list()
    return last == [1, *EIGHT[1:]] and answers.filter(model_version=3)["bundle_hash"].n_unique() == 2


@pytest.fixture(scope="module")
def three(
    tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle
) -> Iterator[tuple[Desk, Desk, Desk]]:
    """Without challengers, with them, and without any in shadow; all at once."""
    with ExitStack() as stack:
        without, beside, shadowed = (
            stack.enter_context(
                desk(tmp_path_factory.mktemp(name), live_store_file, speed=900, hours=40, further=QUICK | further)
            )
            for name, further in (("without", {}), ("beside", {}), ("shadowed", IN_SHADOW))
        )
        with ThreadPoolExecutor() as threads:
            begun = [
                threads.submit(run, one, make_bundle, challengers=one is beside) for one in (without, beside, shadowed)
            ]
            for one in begun:
                one.result()
        yield without, beside, shadowed


@pytest.fixture(scope="module")
def desks(three: tuple[Desk, Desk, Desk]) -> tuple[Desk, Desk]:
    """Without challengers, and with them."""
    return three[:2]


def named_alike(events: pl.DataFrame) -> list[str]:
    """Rows as text, without what is another's in every run: the node's name, numbers and the venue's order ids."""
    return [ID.sub(r"\1-", str(row)) for row in events.drop("node", "seq", "venue_order_id", strict=False).rows()]


@pytest.mark.parametrize("kind", ["signals", "orders", "fills", "positions", "plans"])
def test_what_trades_does_to_the_byte_what_it_does_without_challengers(desks: tuple[Desk, Desk], kind: str) -> None:
    without, beside = (named_alike(one.journal()[kind]) for one in desks)
    both = min(len(without), len(beside))
    assert both >= BARS
    assert without[:both] == beside[:both]


def test_every_bar_has_the_answers_of_all_challengers(desks: tuple[Desk, Desk]) -> None:
    _, beside = desks
    signals, events = beside.signals(), beside.journal()["shadow"]
    answers = shadow_signals(events)
    assert beside.notes["end"][0] == 0, beside.notes["end"][1]
    assert events["bar_ts"].to_list() == signals["bar_ts"].to_list()[: events.height]
    assert events.height >= signals.height - 1  # the node may have been told to end before it had asked them
    first = answers.filter(pl.col("bar_ts") == events["bar_ts"][0])
    assert first["model_version"].to_list() == [1, *EIGHT]
    said = answers.join(signals.select("bar_ts", now="probability"), on="bar_ts")
    assert said["probability"].to_list() == said["now"].to_list()  # they are of one model, with other thresholds
    assert set(answers.filter(pl.col("model_version") == 9)["action"]) == {"hold"}
    assert "enter" in answers.filter(pl.col("model_version") == 4)["action"]


def test_they_are_swapped_withdrawn_and_set_aside_without_a_restart(desks: tuple[Desk, Desk]) -> None:
    _, beside = desks
    assert is_swapped(beside)
    assert beside.told("challenger withdrawn")[0] == "syna v2"
    (aside,) = beside.told("challenger set aside")
    assert aside.startswith("syna v10: ")
    assert "the model in model.txt (lightgbm, long) ends the process that loads it" in aside
    assert beside.told("model refused") == []


def test_the_status_shows_them(desks: tuple[Desk, Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    from trading_cli.live import node

    now = desks[1].notes["status"]
    assert [one.version for one in now.heartbeat.challengers] == list(EIGHT)
    monkeypatch.setattr(node.console, "width", 160)
    monkeypatch.setattr("trading_live.operations.status.read_status", lambda _: now)
    with node.console.capture() as printed:
        node.status()
    (line,) = [line for line in printed.get().splitlines() if line.startswith("challengers")]
    assert line == "challengers  syna v2, v3, v4, v5, v6, v7, v8, v9 in shadow"


def test_a_challengers_answer_is_rebuilt_from_the_candles(desks: tuple[Desk, Desk], live_store_file: Path) -> None:
    _, beside = desks
    settings, path = beside.settings, beside.settings.live_dir / JOURNAL_FILE
    row = shadow_signals(beside.journal()["shadow"]).filter(model_version=4).row(-1, named=True)
    reference = f"syna-v4-{MARKET}-{row['bar_ts']:%Y%m%dT%H%M}"
    store = open_store(f"duckdb:///{live_store_file}")
    found = explain(reference, events=JournalEvents(path), store=store, settings=settings)
    assert (found.equal, found.apart, found.trail.signal["model_version"]) == (True, 0.0, 4)
    assert found.bundle.bundle_hash.startswith(row["bundle_hash"])
    assert found.trail.orders.is_empty()
    with pytest.raises(NodeError, match="is journalled; the newest signals are"):
        explain(reference.replace("-v4-", "-v44-"), events=JournalEvents(path), store=store, settings=settings)


def test_their_answers_go_into_the_store_once(desks: tuple[Desk, Desk], tmp_path: Path) -> None:
    _, beside = desks
    store, path = open_store(f"duckdb:///{tmp_path / 'market.duckdb'}"), beside.settings.live_dir / JOURNAL_FILE
    answers = shadow_signals(beside.journal()["shadow"])
    assert load_journal(store, path)["shadow_signals"] == answers.height
    assert sum(load_journal(store, path).values()) == 0
    stored = store.read(SHADOW_SIGNALS, where={"market": MARKET}).sort("seq", "model", "model_version")
    assert stored.rows() == answers.sort("seq", "model", "model_version").rows()


@pytest.mark.parametrize("kind", ["signals", "orders", "fills", "positions", "plans"])
def test_a_node_in_shadow_decides_and_journals_what_it_does_on_paper(three: tuple[Desk, Desk, Desk], kind: str) -> None:
    paper, _, shadowed = (one.journal()[kind] for one in three)
    both = min(paper.height, shadowed.height)
    assert both >= BARS
    filled = "filled_by" if kind == "fills" else ()
    assert named_alike(shadowed.drop(filled))[:both] == named_alike(paper.drop(filled))[:both]


def test_fills_in_shadow_are_hypothetical_and_the_exchange_is_asked_for_market_data_alone(
    three: tuple[Desk, Desk, Desk],
) -> None:
    paper, _, shadowed = three
    assert shadowed.notes["end"][0] == 0, shadowed.notes["end"][1]
    assert set(shadowed.journal()["fills"]["filled_by"]) == {"shadow"}
    assert set(paper.journal()["fills"]["filled_by"]) == {"paper"}
    assert shadowed.told("started")[0].startswith("binance replay, shadow")
    asked = {(one.method, one.path) for one in shadowed.faults.asked}
    assert ("GET", "/fapi/v1/klines") in asked
    assert {method for method, _ in asked} == {"GET"}, "no order, no listen key, no mode of the account"
    assert asked.isdisjoint(SIGNED), "what the account holds was not asked for either"
    account = shadowed.server.account
    assert (account.orders, account.conditionals, account.fills, account.sent) == ([], [], [], [])

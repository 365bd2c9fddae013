"""`trading record` in processes of its own: the venue's real adapter against the local exchange."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.live.conftest import MARKET, OTHER, START, random_walk
from tests.live.desk import wait_for
from tests.live.forks import Forked, parent
from trading_assets.core.candles import OHLCV, TS
from trading_assets.core.errors import NodeError, SettingsError, TradingError
from trading_assets.recordings import Spool, load_recordings, pending, read_segment, spool_folder
from trading_assets.settings import Settings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BOOK_SNAPSHOTS, CANDLES, PUBLIC_TRADES, RECORDING_GAPS, STREAMED_CANDLES
from trading_cli.main import app
from trading_live.recording.record import run_recorder
from trading_live.recording.recorder import RecordHooks, RecordStats
from trading_live.replay import ReplayServer, Tape, read_tape
from trading_live.replay.streams import finest, levels_at, trades_of

SPEED = 150.0
TRADES = 20
"""That the exchange makes of a minute."""

LIVE = "binance:BTC/USDT:USDT"


@dataclass
class Studio:
    """A data folder with a spool, the local exchange, and recorders as processes."""

    folder: Path
    tape: Tape
    server: ReplayServer
    environment: dict[str, str]
    output: str = ""
    exit_code: int | None = None

    @property
    def spool(self) -> Path:
        return self.folder / "recordings"

    @property
    def store(self) -> Store:
        return open_store(f"duckdb:///{self.folder}/market.duckdb")

    def start(self, *arguments: str) -> Forked:
        output = self.folder / f"output-{time.monotonic_ns()}.txt"
        return parent().start({**os.environ, **self.environment}, output, "record", *arguments, module="trading_cli")

    def end(self, process: Forked, number: signal.Signals) -> None:
        process.send_signal(number)
        self.output = process.communicate()[0]
        self.exit_code = process.returncode

    def kill(self, process: Forked, when: Callable[[], bool]) -> None:
        """End a recorder as the system does, while something holds: it is stopped to look."""
        while True:
            wait_for(when, while_alive=process)
            process.send_signal(signal.SIGSTOP)
            if when():
                return self.end(process, signal.SIGKILL)
            process.send_signal(signal.SIGCONT)

    def spooled(self, kind: str) -> int:
        """Rows of a table that are on disk, in the spool."""
        rows = 0
        for path in [*self.spool.rglob("*.part"), *self.spool.rglob("*.segment")]:
            with suppress(FileNotFoundError):  # it was sealed meanwhile: another name
                frame = read_segment(path).frames.get(kind)
                rows += 0 if frame is None else frame.height
        return rows


@pytest.fixture
def studio(tmp_path: Path, live_store_file: Path) -> Iterator[Callable[[float], Studio]]:
    """Opens a studio on a replay at a speed."""
    opened = []

    def make(speed: float) -> Studio:
        store = open_store(f"duckdb:///{live_store_file}")
        tape = read_tape(store, {MARKET: "1m", OTHER: "1m"}, start=START, end=START + timedelta(days=1))
        server = ReplayServer(tape, speed=speed)
        server.start()
        opened.append(server)
        environment = {"TRADING_DATA_DIR": str(tmp_path), "TRADING_RECORD__SEGMENT_S": "1"}
        environment |= {"TRADING_RECORD__BOOK_INTERVAL_S": "0.2", "TRADING_RECORD__FLUSH_S": "0.3"}
        environment |= {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
        return Studio(tmp_path, tape, server, environment)

    yield make
    for server in opened:
        server.stop()


def sent_trades(tape: Tape, market: str, first: int, last: int) -> pl.DataFrame:
    """What the exchange has of a market's trades between two ids, with the table's columns except known_at."""
    one = next(one for one in tape.instruments.values() if one.market == market)
    begin = int(finest(one).open_ms.searchsorted(round(START.timestamp() * 1000)))
    frames = []
    for index in range(begin, len(finest(one).open_ms)):
        made = trades_of(one, index)
        if len(made.ids) and made.ids[0] > last:
            break
        frames.append(
            pl.DataFrame(
                {
                    "ts": pl.Series(made.times * 1000).cast(TS),
                    "trade_id": made.ids,
                    "price": (made.prices / 10**one.price_decimals).round(one.price_decimals),
                    "quantity": (made.lots / 10**one.volume_decimals).round(one.volume_decimals),
                    "side": pl.Series(made.buyer_maker).replace_strict({True: "sell", False: "buy"}),
                }
            )
        )
    return pl.concat(frames).filter(pl.col("trade_id").is_between(first, last))


def assert_trades_are_the_exchanges(studio: Studio, market: str, *, twice: int = 0) -> int:
    """Every stored trade is one that was sent, every one that is missing stands in a gap; returns how many.

    A kill between the write of the rows and of the last number leaves up to ``twice`` stored trades in a gap as well.
    """
    stored = studio.store.read(PUBLIC_TRADES, where={"market": market})
    numbers = stored["trade_id"].cast(pl.Int64)
    first, last = int(numbers.min()), int(numbers.max())  # type: ignore[arg-type]
    sent = sent_trades(studio.tape, market, first, last)
    expected = sent.filter(pl.col("trade_id").is_in(numbers.implode()))
    found = stored.with_columns(numbers).select(expected.columns)
    assert found.height == expected.height == numbers.n_unique()
    assert found.sort("trade_id").equals(expected)
    gaps = studio.store.read(RECORDING_GAPS, where={"market": market}).filter(pl.col("stream") == "trades")
    missing: int = last - first + 1 - stored.height
    assert missing <= gaps["missing"].sum() <= missing + twice
    return missing


def candles_from(trades: pl.DataFrame) -> pl.DataFrame:
    """One-minute candles of recorded trades; ``trades`` says of how many."""
    minute = pl.col("ts").dt.truncate("1m")
    price = pl.col("price")
    ordered = trades.with_columns(pl.col("trade_id").cast(pl.Int64)).sort("trade_id")
    return ordered.group_by(minute, maintain_order=True).agg(
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        volume=pl.col("quantity").sum().round(3),
        trades=pl.len(),
    )


def test_a_recording_over_a_lost_connection_is_what_the_exchange_sent(studio: Callable[[float], Studio]) -> None:
    one = studio(SPEED)
    one.environment["TRADING_RECORD__CANDLES"] = "true"
    process = one.start("--market", MARKET, "--market", OTHER)
    wait_for(lambda: one.spooled("public_trades") > 200 and one.spooled("book_snapshots") > 4, while_alive=process)
    one.server.begin_outage()
    gone = one.server.now
    wait_for(lambda: one.server.now > gone + timedelta(minutes=1), while_alive=process)
    one.server.end_outage()
    recorded = one.spooled("public_trades")
    wait_for(lambda: one.spooled("public_trades") > recorded + 2 * 12 * TRADES, while_alive=process)
    wait_for(lambda: one.spooled("book_snapshots") > 2 * 20, while_alive=process)
    wait_for(lambda: fewest_candles(one) > 10, while_alive=process)  # while it records
    one.end(process, signal.SIGINT)

    assert one.exit_code == 0, one.output
    assert "connection lost" in one.output
    assert "connected again" in one.output
    assert not pending(one.spool), "what was recorded is loaded at the end"
    for market in (MARKET, OTHER):
        assert assert_trades_are_the_exchanges(one, market) > 0
        gaps = one.store.read(RECORDING_GAPS, where={"market": market})
        assert set(gaps["stream"]) == {"books", "trades"}
        assert "reconnect" in gaps["reason"].to_list()
        assert (gaps["end"] >= gaps["ts"]).all()
        assert_candles_of_whole_minutes_are_the_exchanges(one, market)
        assert_books_are_the_exchanges(one, market)
        assert_streamed_candles_are_the_exchanges(one, market)


def fewest_candles(one: Studio) -> int:
    """That are stored of one of both markets."""
    stored = one.store.read(CANDLES)["market"]
    return min((stored == market).sum() for market in (MARKET, OTHER))


def assert_streamed_candles_are_the_exchanges(one: Studio, market: str) -> None:
    """As they were sent, each marked as streamed until the history is read; none where the connection was lost."""
    stored = one.store.read(CANDLES, where={"market": market, "timeframe": "1m"})
    served = next(each for each in one.tape.instruments.values() if each.market == market).series["1m"]
    index = [int(served.open_ms.searchsorted(at)) for at in stored["ts"].dt.epoch("ms")]
    klines = [tuple(float(text) for text in served.kline(position).texts) for position in index]
    assert stored.height > 10
    assert stored.select(OHLCV).rows() == klines
    marks = one.store.read(STREAMED_CANDLES, where={"market": market})
    assert marks.select("ts", *OHLCV).equals(stored.select("ts", *OHLCV))
    assert set(marks["source"]) == {"binance-replay"}


def assert_candles_of_whole_minutes_are_the_exchanges(one: Studio, market: str) -> None:
    built = candles_from(one.store.read(PUBLIC_TRADES, where={"market": market})).filter(pl.col("trades") == TRADES)
    served = next(each for each in one.tape.instruments.values() if each.market == market).series["1m"]
    index = [int(served.open_ms.searchsorted(at)) for at in built["ts"].dt.epoch("ms")]
    klines = [[float(text) for text in served.kline(position).texts] for position in index]
    assert built.height > 10
    assert built.select(OHLCV).rows() == [tuple(kline) for kline in klines]


def assert_books_are_the_exchanges(one: Studio, market: str) -> None:
    instrument = next(each for each in one.tape.instruments.values() if each.market == market)
    stored = one.store.read(BOOK_SNAPSHOTS, where={"market": market})
    assert stored.height > 10
    for row in stored.iter_rows(named=True):
        at_ms = round(row["ts"].timestamp() * 1000)
        assert row["sequence"] == (at_ms // 1000 + 1) * 10
        assert row["known_at"] >= row["ts"]
        now = levels_at(instrument, at_ms)
        for side, levels in (("bid", now.bids), ("ask", now.asks)):
            wanted = list(levels.items())[:20]
            assert row[f"{side}_prices"] == [round(ticks / 100, 2) for ticks, _ in wanted]
            assert row[f"{side}_sizes"] == [round(lots / 1000, 3) for _, lots in wanted]


def test_a_recorder_that_was_killed_loses_at_most_what_was_not_flushed(studio: Callable[[float], Studio]) -> None:
    one = studio(SPEED)
    process = one.start("--market", MARKET, "--no-load")
    one.kill(process, when=lambda: one.spooled("public_trades") > 100 and bool(list(one.spool.rglob("*.part"))))
    flushed = one.spooled("public_trades")
    assert list(one.spool.rglob("*.part")), "it was killed in the middle of a segment"

    report = load_recordings(one.store, one.spool)
    assert report.rows["public_trades"] == flushed
    assert load_recordings(one.store, one.spool).segments == 0

    process = one.start("--market", MARKET)
    wait_for(lambda: one.spooled("public_trades") > 40, while_alive=process)
    one.end(process, signal.SIGTERM)
    assert one.exit_code == 0, one.output
    assert assert_trades_are_the_exchanges(one, MARKET, twice=flushed) > 0
    reasons = one.store.read(RECORDING_GAPS)["reason"].to_list()
    assert reasons.count("restart") == 2, "of books and of trades"


def test_on_a_live_venue_known_at_is_when_this_machine_received_it(tmp_path: Path) -> None:
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    walk = random_walk(LIVE, seed=5, days_before=0).head(5)
    store = open_store(f"duckdb:///{tmp_path}/candles.duckdb")
    store.upsert(CANDLES, walk.with_columns(pl.col("ts") - walk["ts"][0] + begin))
    tape = read_tape(store, {LIVE: "1m"}, start=begin)
    with ReplayServer(
        Tape(list(tape.instruments.values()), datetime.now(UTC), tape.end), speed=1, hold=False
    ) as server:
        urls = {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
        one = Studio(tmp_path, tape, server, {"TRADING_DATA_DIR": str(tmp_path), **urls})
        one.environment |= {"TRADING_RECORD__FLUSH_S": "0.3"}
        process = one.start("--market", LIVE, "--environment", "live", "--depth", "5")
        wait_for(lambda: min(map(one.spooled, ("public_trades", "book_snapshots"))) > 1, while_alive=process)
        one.end(process, signal.SIGINT)
    assert one.exit_code == 0, one.output
    assert "lag" in one.output
    for table in (PUBLIC_TRADES, BOOK_SNAPSHOTS):
        rows = one.store.read(table, where={"market": LIVE})
        assert rows.height > 1
        assert (rows["known_at"] > rows["ts"]).all()
        assert rows["known_at"].is_between(begin, datetime.now(UTC)).all()
    assert (rows["bid_prices"].list.len() == 5).all()


# -- what cannot be recorded -------------------------------------------------------------------------------------------


def test_a_venue_that_is_not_there_is_given_up_after_a_bounded_wait(settings: Settings) -> None:
    node = settings.node.model_copy(
        update={"base_url_http": "http://127.0.0.1:1", "base_url_ws": "ws://127.0.0.1:1/ws", "environment": "live"}
    )
    with pytest.raises(NodeError, match=r"127\.0\.0\.1:1: the venue did not answer within 1 s"):
        run_recorder(settings.model_copy(update={"node": node}), [LIVE], connect_timeout_s=1)
    Spool(spool_folder(settings) / "binance-live").close()


def test_a_testnets_candles_are_not_stored(settings: Settings) -> None:
    node = settings.node.model_copy(update={"environment": "testnet"})
    record = settings.record.model_copy(update={"candles": True})
    with pytest.raises(SettingsError, match=r"record\.candles would put a testnet's prices beside the market's own"):
        run_recorder(settings.model_copy(update={"node": node, "record": record}), [LIVE])


def test_a_local_exchange_that_does_not_run_is_said_at_once(settings: Settings) -> None:
    node = settings.node.model_copy(update={"base_url_http": "http://127.0.0.1:1"})
    with pytest.raises(NodeError, match=r"the local exchange does not answer: .*refused.*start trading replay first"):
        run_recorder(settings.model_copy(update={"node": node}), [MARKET])
    assert not pending(spool_folder(settings))


def recorded_here(
    one: Studio,
    settings: Settings,
    markets: list[str],
    *,
    while_running: Callable[[RecordStats], None] | None = None,
    give_up_s: float = 60.0,
    venue: str = "binance",
) -> None:
    """Record in this process."""
    node = settings.node.model_copy(update={"venue": venue})
    replay = settings.replay.model_copy(update={"port": one.server.port})
    rhythm = {"give_up_s": give_up_s, "flush_s": 0.2, "segment_s": 0.2, "book_interval_s": 0.1}
    quick = settings.record.model_copy(update=rhythm)
    hooks = RecordHooks(progress=while_running or (lambda _: None))
    run_recorder(settings.model_copy(update={"node": node, "replay": replay, "record": quick}), markets, hooks=hooks)


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_a_venue_that_falls_silent_ends_the_recording_and_keeps_what_came(
    studio: Callable[[float], Studio], settings: Settings, venue: str
) -> None:
    one = studio(SPEED)

    def fall_silent(now: RecordStats) -> None:
        if now.trades > 20 and now.books > 10:
            one.server.pause()

    with pytest.raises(NodeError, match=r"the venue has sent nothing for \d+ s.*record again"):
        recorded_here(one, settings, [MARKET], while_running=fall_silent, give_up_s=4.0, venue=venue)
    assert load_recordings(one.store, spool_folder(settings)).rows["public_trades"] > 20
    assert assert_trades_are_the_exchanges(one, MARKET) == 0
    assert_books_are_the_exchanges(one, MARKET)


def test_a_recorder_that_stood_still_does_not_take_it_for_silence_of_the_venue(
    studio: Callable[[float], Studio], settings: Settings
) -> None:
    slept = []

    def stand_still(now: RecordStats) -> None:
        if now.trades > 20 and not slept:
            slept.append(now.trades)
            time.sleep(4.5)
        elif len(slept) == 1 and now.trades > slept[0]:
            slept.append(now.trades)
            signal.raise_signal(signal.SIGINT)

    recorded_here(studio(SPEED), settings, [MARKET], while_running=stand_still, give_up_s=4.0)
    assert len(slept) == 2, "it has gone on"


def test_a_market_that_the_venue_does_not_have_is_named(studio: Callable[[float], Studio], settings: Settings) -> None:
    with pytest.raises(NodeError, match=r"the venue does not have XUSDT-PERP\.BINANCE"):
        recorded_here(studio(SPEED), settings, ["sample:X/USDT:USDT"])


def test_a_disk_that_refuses_ends_the_recording_with_an_error(
    studio: Callable[[float], Studio], settings: Settings
) -> None:
    def lose_the_disk(now: RecordStats) -> None:
        if now.trades:
            shutil.rmtree(spool_folder(settings), ignore_errors=True)

    with pytest.raises(NodeError, match="the recording cannot be written: No such file or directory"):
        recorded_here(studio(SPEED), settings, [MARKET], while_running=lose_the_disk)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--market", "okx:BTC/USDT:USDT", "--environment", "live"], "okx:BTC/USDT:USDT: not a market of binance"),
        (["--environment", "live"], "no market of binance in the settings"),
        (["--market", "BTC"], "'BTC' is not a market"),
        (["--for", "ten minutes"], "'ten minutes' is not a length of time"),
        (["--venue", "mtgox"], "node.venue"),
    ],
)
def test_what_cannot_be_recorded_is_said_at_once(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(app, ["record", *arguments])
    assert isinstance(done.exception, TradingError)
    assert message in str(done.exception)

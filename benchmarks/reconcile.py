"""Journal and account compared, with 500 orders that rest: ``python -m benchmarks.reconcile``.

The account is the local exchange's, over signed requests from another process, as a node on the same machine asks it;
a venue's distance comes on top, a round trip for each of half a dozen requests.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from trading_assets.journal import JOURNAL_FILE, Journal, read_state
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_live.reconciliation.asking import ask, is_spot, journalled_fills
from trading_live.reconciliation.comparison import compare
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.views import JournalSays
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.venues.account import Account
from trading_live.venues.account.base import RestAccount
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

ORDERS = 500
MARKETS = [f"binance:{chr(65 + number)}AA/USDT:USDT" for number in range(10)]
IDS = OrderIds("main")
T0 = datetime(2025, 5, 20, tzinfo=UTC)


def run() -> list[Measurement]:
    """Seconds of one comparison where all agree, and of what it does without asking."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            account, path = _account(ours.recv()), Path(folder) / JOURNAL_FILE
            _send(account, path)
            whole = best_of(lambda: _agree(_compared(account, path)))
            says = JournalSays.of(read_state(path), journalled_fills(path))
            venue = ask(account, says, {}, MARKETS, ours=IDS.is_ours)
            alone = best_of(lambda: compare(says, None, venue, markets=MARKETS, ours=IDS.is_ours, spot=is_spot))
    finally:
        ours.send(None)
        process.join(10)
    return [
        Measurement(f"account asked and compared, {ORDERS} orders", whole, ORDERS, target=Target(max_seconds=2.0)),
        Measurement(f"of which compared, {ORDERS} orders", alone, ORDERS),
    ]


def _serve(pipe: Connection) -> None:
    from trading_live.replay.server import ReplayServer
    from trading_live.replay.tape import whole_tape

    with ReplayServer(whole_tape(dict.fromkeys(MARKETS, _still()))) as server:
        server.pause()
        pipe.send(server.url_http)
        pipe.recv()


def _still() -> pl.DataFrame:
    """An hour at one price, so that nothing fills."""
    ts = pl.datetime_range(T0, T0 + timedelta(minutes=59), "1m", time_zone="UTC", time_unit="us", eager=True)
    prices = {name: pl.lit(100.01) for name in ("open", "high", "low", "close")}
    return pl.DataFrame({"ts": ts}).with_columns(**prices, volume=pl.lit(1_000.001))


def _account(url: str) -> RestAccount:
    keys = Credentials(REHEARSAL_KEY, REHEARSAL_SECRET)
    return make_account("binance", "perpetual", keys, MARKETS, place="binance replay", base_url=url)


def _send(account: RestAccount, path: Path) -> None:
    """Limits far below the price, known to the journal."""
    rows = []
    for number in range(ORDERS):
        market = MARKETS[number % len(MARKETS)]
        order_id = f"{IDS.prefix}{number:09}p{number % 36:03}"
        account._requests.call(
            "fapiPrivatePostOrder",
            {
                "symbol": account.symbol(market),
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "10",
                "price": "96",
                "newClientOrderId": account._ids.wire(order_id),
            },
        )
        row = {"ts": T0, "market": market, "order_id": order_id, "signal_id": "s", "purpose": "take_profit"}
        row |= {"side": "buy", "order_type": "limit", "quantity": 10.0, "price": 96.0}
        rows.append(("orders", row | {"status": "initialized", "reason": ""}))
    with closing(Journal(path, "bench")) as journal:
        journal.record_all(rows)


def _compared(account: Account, path: Path) -> list[Difference]:
    says = JournalSays.of(read_state(path), journalled_fills(path))
    venue = ask(account, says, {}, MARKETS, ours=IDS.is_ours)
    return compare(says, None, venue, markets=MARKETS, ours=IDS.is_ours, spot=is_spot)


def _agree(differences: list[Difference]) -> None:
    assert not differences, differences[:3]


if __name__ == "__main__":
    main(run, __doc__, title="Reconciliation")

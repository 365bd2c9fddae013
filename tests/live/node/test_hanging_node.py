"""A node that hangs at the local exchange: the dead man's switch cancels what rests, and a node that wakes protects."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.live.conftest import MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets.settings import LabelSettings
from trading_live.replay.orders.exchange.model import Conditional, Order

ARMED = {
    "TRADING_NODE__MODE": "live",
    "TRADING_NODE__RECONCILE_S": "2",
    "TRADING_TRADING__PROTECTIONS__CANCEL_AFTER_S": "5",
}


def resting(one: Desk) -> tuple[list[Order], list[Conditional]]:
    """The targets and the stops that rest at the exchange."""
    account = one.server.account
    return [order for order in account.orders if order.open], [stop for stop in account.conditionals if stop.open]


def test_what_rests_for_a_node_that_hangs_is_canceled_and_rests_again_when_it_wakes(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=300, hours=40, further=ARMED) as one:
        wide = LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=480)
        put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=wide))
        process = one.start()
        try:
            wait_for(lambda: one.told("cancel after") and all(resting(one)), while_alive=process)
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda: not any(resting(one)))
            held = one.server.account.positions
            process.send_signal(signal.SIGCONT)
            wait_for(lambda: resting(one)[1], while_alive=process)
            process.send_signal(signal.SIGTERM)
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        assert one.told("cancel after")[0] == "armed: the venue cancels all orders after 5 s of silence"
        assert list(held) == ["SYNAUSDT"], "what is held is not closed"
        assert one.server.account.conditionals[0].status == "CANCELED"
        (stop,) = resting(one)[1]
        assert (stop.quantity, stop.reduce_only) == (abs(held["SYNAUSDT"].quantity), True)
        assert one.server._desk._countdowns == {}, "taken back by a node that ends in order"

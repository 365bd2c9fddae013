"""The comparison in a running node: made from the settings, and given its turn on the engine's thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from trading_assets.journal import BufferedJournal
from trading_assets.settings import Settings
from trading_assets.strategies.orders.contracts import size_of
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_live.node.journal.pulse import Pulse
from trading_live.node.reconciling.reconciler import Reconciler
from trading_live.operations.heartbeat import State
from trading_live.reconciliation.views import EngineSays
from trading_live.venues.account.open import account_of


def reconciler_of(
    settings: Settings, markets: Sequence[str], journal: BufferedJournal, pulse: Pulse
) -> Reconciler | None:
    """The comparison of the settings' account on these markets; None where no orders go to a venue."""
    node = settings.node
    if node.mode != "live" or not markets:
        return None

    def asked_again(event: str, detail: str) -> None:
        found.failures += 1
        pulse.tell(event, detail)

    found = Reconciler(
        account_of(settings, markets, tell=asked_again),
        markets,
        OrderIds(node.account),
        journal,
        tell=pulse.tell,
        warn=pulse.warn,
        every_s=node.reconcile_s,
        adopts=node.adopt,
    )
    return found


def turning(
    beat: Callable[[State], None],
    look: Callable[[], None],
    reconciler: Reconciler | None,
    strategy: Any,
    instruments: Mapping[str, Any],
    account: str,
    untraded: Collection[str] = (),
) -> tuple[Callable[[State], None], Callable[[], None]]:
    """A heartbeat and a look, many times a second, that also give the comparison its turn on the engine's thread."""
    if reconciler is None:
        return beat, look
    ids = OrderIds(account)
    strategy.ask_account()

    def turn() -> None:
        reconciler.turn(lambda: engine_says(strategy, instruments, ids, untraded), strategy)

    def beating(state: State) -> None:
        beat(state)
        turn()

    def looking() -> None:
        look()
        turn()

    return beating, looking


def engine_says(
    strategy: Any, instruments: Mapping[str, Any], ids: OrderIds, untraded: Collection[str] = ()
) -> EngineSays:
    """What the engine holds on the markets; on the engine's thread."""
    orders, held = dict[str, str](), dict[str, float]()
    absent = frozenset(market for market, one in instruments.items() if strategy.cache.instrument(one) is None)
    for market, instrument in instruments.items():
        resting = strategy.cache.client_order_ids_open(instrument_id=instrument)
        on_its_way = strategy.cache.client_order_ids_inflight(
            instrument_id=instrument
        )  # not lost while it is waited for
        for order_id in (*resting, *on_its_way):
            if ids.is_ours(order_id.value):
                orders[order_id.value] = market
        positions = strategy.cache.positions_open(instrument_id=instrument)
        size = size_of(strategy.cache.instrument(instrument)) if positions else None
        held[market] = sum(float(position.signed_qty) for position in positions) * float(size or 1)
    return EngineSays(orders, held, strategy.vanished, absent | set(untraded))

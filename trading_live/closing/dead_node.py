"""A kill of real orders with no node running: what the journal has open is closed through the venue's account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import structlog

from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, Journal, JournalState, nothing, read_state
from trading_assets.settings import Settings
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_live.closing.flatten import Flattened, flatten_account
from trading_live.operations.heartbeat import NodeLock
from trading_live.operations.restarts import node_name
from trading_live.reconciliation.asking import OwnIds
from trading_live.recovery.at_venue import recover_at_venue
from trading_live.recovery.from_journal import newest_plans
from trading_live.venues.account import Account, VenueError
from trading_live.venues.account.open import account_of
from trading_live.venues.registry import venue_of

_LOG: Final = structlog.get_logger(__name__)


def close_at_venue(settings: Settings) -> list[Flattened]:
    """Close what is ours, and cancel our orders; call it while no node runs and the kill switch is on.

    Raises
    ------
    VenueError
        If the account cannot be asked at all, e.g. for want of a key.
    """
    return close_journalled(
        settings.live_dir / JOURNAL_FILE,
        lambda markets: account_of(settings, markets),
        OrderIds(settings.node.account),
        place=venue_of(settings).place,
        otherwise=sorted(settings.markets_of(settings.models)),
    )


def close_journalled(
    journal: Path,
    account: Callable[[Sequence[str]], Account],
    ids: OwnIds,
    *,
    place: str,
    otherwise: Sequence[str],
) -> list[Flattened]:
    """As :func:`close_at_venue`, of its parts.

    Parameters
    ----------
    journal
        The node's journal.
    account
        Gives the account for some markets.
    ids
        Whose an order is.
    place
        Where the node trades: what the journal holds of another place is not touched.
    otherwise
        The markets where the journal is gone or cannot be read: then everything that is held there is closed, and of
        balances what our own sales rest for.
    """
    state = _state_of(journal)
    if state is None:
        return flatten_account(account(otherwise), otherwise, ours=ids.is_ours) if otherwise else []
    if state.started not in (None, place):
        return []
    markets = _open_markets(state)
    held = {market: one.held for market, one in state.markets.items()}
    if markets:
        held |= _held_by_now(journal, account, ids, place, markets)
    return flatten_account(account(markets), markets, ours=ids.is_ours, held=held) if markets else []


def write_down(settings: Settings) -> bool:
    """Journal what the venue has booked while no node ran, as the next start would; whether it could.

    Who looks at the journal until then would take what is closed for open, and for unprotected.
    """
    return journal_what_happened(
        settings.live_dir,
        node_name(settings.node),
        lambda markets: account_of(settings, markets),
        OrderIds(settings.node.account),
        place=venue_of(settings).place,
    )


def journal_what_happened(
    live_dir: Path, node: str, account: Callable[[Sequence[str]], Account], ids: OwnIds, *, place: str
) -> bool:
    """As :func:`write_down`, of its parts."""
    lock, path = NodeLock(live_dir), live_dir / JOURNAL_FILE
    try:
        lock.acquire()
        repairs = recover_at_venue(path, account, ids, place).repairs
        with closing(Journal(path, node)) as journal:
            journal.record_all(repairs)
    except NodeError as error:
        _LOG.warning("what happened at the venue is not in the journal yet", error=str(error))
        return False
    finally:
        lock.release()
    return True


def has_open_trades(journal: Path) -> bool:
    """Whether something may be open at the venue: held, an entry of which nothing was heard, or no journal to say."""
    state = _state_of(journal)
    return state is None or bool(_open_markets(state))


def _state_of(journal: Path) -> JournalState | None:
    """None where it is gone, or cannot be read: that says nothing of what is open."""
    if not journal.is_file():
        return None
    try:
        return read_state(journal)
    except NodeError:
        return None


def _open_markets(state: JournalState) -> list[str]:
    plans = {market for market, plan in newest_plans(state).items() if plan.stage != "closed"}
    return sorted(plans | {market for market, one in state.markets.items() if not nothing(one.held, one.traded)})


def _held_by_now(
    journal: Path, account: Callable[[Sequence[str]], Account], ids: OwnIds, place: str, markets: Sequence[str]
) -> dict[str, float]:
    """Market -> base units of ours with what was filled while nobody listened; nothing where the venue is silent."""
    try:
        recovered = recover_at_venue(journal, account, ids, place)
    except (NodeError, VenueError) as error:
        _LOG.warning("what was filled unheard is not known", error=str(error))
        return {}
    return dict.fromkeys(markets, 0.0) | {one.market: one.quantity for one in recovered.holdings}

"""What real money needs before an order is sent: said in the settings, in the environment and on the command line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from trading_assets.core.errors import NodeError, SettingsError
from trading_assets.journal import JOURNAL_FILE
from trading_assets.journal.file import reading
from trading_assets.settings import NodeSettings, Settings
from trading_live.venues.address import is_loopback
from trading_live.venues.registry import venue_of

FLAG: Final = "--i-accept-real-orders"
LIVE: Final = "live"

_REAL_PLACE: Final = " live, live "
"""In what a start journals of where it trades: the environment, then the mode."""

_STARTS: Final = """
SELECT seq, json_extract(payload, '$.detail') FROM journal
WHERE kind = 'node' AND json_extract(payload, '$.event') = 'started' ORDER BY seq
"""
_REAL_FILLS: Final = """
SELECT seq, json_extract(payload, '$.signal_id') FROM journal
WHERE kind = 'fills' AND json_extract(payload, '$.filled_by') = 'live'
"""


def require_permission(settings: Settings, accepted: str | None) -> None:
    """Refuse a node that would send orders without all that this needs; paper and shadow need nothing.

    Parameters
    ----------
    settings
        Mode, environment, account, venue.
    accepted
        The account that ``--i-accept-real-orders`` named; None without the flag.

    Raises
    ------
    NodeError
        If the account was not named, or a key is missing.
    SettingsError
        If the venue takes no orders, or a rehearsal is not on this machine.
    """
    node = settings.node
    if node.mode != LIVE:
        return
    if is_real_money(node) and accepted != node.account:
        raise NodeError(
            _not_accepted(node, accepted),
            where=_place(node),
            remedy=f"if that is what you want: trading live {FLAG} {node.account}",
        )
    venue = venue_of(settings)
    venue.check_address()
    markets = [market for market in settings.markets_of(settings.models) if venue.carries(market)]
    if markets:
        venue.order_client(markets)


def is_real_money(node: NodeSettings) -> bool:
    """Whether orders may move money that counts, as far as settings can tell.

    A testnet is one at its own address only: at another address, on another machine, anything may answer.
    """
    if node.mode != LIVE or node.environment == "replay":
        return False
    moved = [one for one in (node.base_url_http, node.base_url_ws) if one is not None]
    return node.environment == LIVE or not all(is_loopback(one) for one in moved)


def _place(node: NodeSettings) -> str:
    if node.environment == LIVE:
        return f"{node.venue} live"
    return f"{node.venue} {node.environment} at {node.base_url_http or node.base_url_ws}, which is no testnet's own"


def _not_accepted(node: NodeSettings, accepted: str | None) -> str:
    if accepted is None:
        return f"real orders on the account {node.account!r} were not accepted on the command line"
    return f"real orders were accepted for the account {accepted!r}, and the settings trade {node.account!r}"


def require_nothing_left(started: str | None, place: str, open_markets: Sequence[str]) -> None:
    """Refuse to begin anew elsewhere while a journal holds trades of real money: nobody would manage them any more.

    Parameters
    ----------
    started, place
        Where the journal's node traded, and where the next one is to trade, as starts are journalled.
    open_markets
        What the journal holds open.

    Raises
    ------
    NodeError
        Says what is open, and where.
    """
    if started is None or started == place or not open_markets or _REAL_PLACE not in started:
        return
    raise NodeError(
        f"this data folder holds open trades of {started}: {', '.join(open_markets)}; a node of {place} would forget "
        "them, and they would be left to their orders at the venue",
        where=JOURNAL_FILE,
        remedy="close them with the settings that opened them (trading kill, or trading live --close-only with "
        f"{FLAG} ACCOUNT), or give this node a data_dir of its own",
    )


def untested(settings: Settings, models: Iterable[tuple[str, int]]) -> list[str]:
    """Those of the models, with their version, that the journal knows no fill of on the venue's testnet.

    Only for real money; of a journal in another data folder nothing is known.
    """
    node, names = settings.node, [f"{model}-v{version}" for model, version in models]
    if not is_real_money(node):
        return []
    with reading(settings.live_dir / JOURNAL_FILE) as journal:
        if journal is None:
            return names
        starts = journal.execute(_STARTS).fetchall()
        fills = journal.execute(_REAL_FILLS).fetchall()
    at, places = [seq for seq, _ in starts], [str(place) for _, place in starts]
    testnet = f"{node.venue} testnet, live"
    seen = {
        str(signal)
        for seq, signal in fills
        if (before := bisect_right(at, seq)) and places[before - 1].startswith(testnet)
    }
    return [name for name in names if not any(signal.startswith(f"{name}-") for signal in seen)]


def described(settings: Settings) -> str:
    """What the mode of the settings does, in a sentence."""
    node = settings.node
    where = f"{node.venue} ({node.environment})"
    if node.mode == "paper":
        return f"paper on {where}: orders are filled in the node's own sandbox"
    if node.mode == "shadow":
        return f"shadow on {where}: decisions and hypothetical fills are journalled, nothing is sent"
    if node.environment == "replay":
        return "rehearsal on the local exchange: real orders to this machine, with made-up keys"
    money = "REAL MONEY" if is_real_money(node) else "made-up money"
    return f"live on {where}: orders of the account {node.account!r} go to the venue, {money}"


def start_command(settings: Settings, *flags: str) -> str:
    """How the node of the settings is started."""
    node = settings.node
    if node.mode != LIVE:
        return " ".join(("trading paper", *flags))
    return " ".join(("trading live", *flags, *((FLAG, node.account) if is_real_money(node) else ())))


def missing(settings: Settings) -> str | None:
    """Why ``mode: live`` would be refused as things are, apart from the command line; None where nothing is missing."""
    try:
        require_permission(settings, settings.node.account)
    except (NodeError, SettingsError) as error:
        return str(error)
    return None

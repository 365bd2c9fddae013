"""The account of the settings: its class, its keys, its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Final

from trading_assets.core.candles import Market
from trading_assets.settings import Settings
from trading_assets.sources.transport.backoff import Backoff
from trading_live.venues.account.base import RestAccount
from trading_live.venues.account.binance import BinanceUsdm
from trading_live.venues.account.binance_spot import BinanceSpot
from trading_live.venues.account.bybit import Bybit
from trading_live.venues.account.contract import VenueError
from trading_live.venues.account.ids import BrokerIds, ClientIds, PlainIds, ShortIds
from trading_live.venues.account.keys import Credentials, credentials
from trading_live.venues.account.kraken import KrakenSpot
from trading_live.venues.account.kraken_futures import KrakenFutures
from trading_live.venues.account.okx import Okx
from trading_live.venues.account.requests import TIMEOUT_S, Requests

REPLAY: Final = "replay"


@dataclass(frozen=True, slots=True)
class _Kind:
    """An account's class, ccxt's id of its exchange, how ccxt calls its testnet, and how its adapter writes ids.

    Requests are ``paced`` where the venue forgives each only after seconds; others grant hundreds at once.
    """

    of: type[RestAccount]
    exchange: str
    sandbox: str
    ids: ClientIds
    paced: bool = False


_PLAIN: Final = PlainIds()
_KINDS: Final[Mapping[tuple[str, str], _Kind]] = MappingProxyType(
    {
        ("binance", "perpetual"): _Kind(BinanceUsdm, "binanceusdm", "demo", BrokerIds("aHRE4BCj")),
        ("binance", "spot"): _Kind(BinanceSpot, "binance", "test", BrokerIds("TD67BGP9")),
        ("bybit", "perpetual"): _Kind(Bybit, "bybit", "test", _PLAIN),
        ("bybit", "spot"): _Kind(Bybit, "bybit", "test", _PLAIN),
        ("okx", "perpetual"): _Kind(Okx, "okx", "test", _PLAIN),
        ("okx", "spot"): _Kind(Okx, "okx", "test", _PLAIN),
        ("kraken", "perpetual"): _Kind(KrakenFutures, "krakenfutures", "test", ShortIds(), paced=True),
        ("kraken", "spot"): _Kind(KrakenSpot, "kraken", "", ShortIds(), paced=True),
    }
)


def account_of(
    settings: Settings, markets: Sequence[str], *, tell: Callable[[str, str], None] | None = None
) -> RestAccount:
    """The account that orders on these markets belong to; nothing is sent yet.

    Parameters
    ----------
    settings
        Venue, environment and address.
    markets
        At least one; of one product where the venue keeps accounts apart.
    tell
        (event, detail): told of requests that are made again.

    Raises
    ------
    VenueError
        If a key is missing, or the markets are of two accounts.
    """
    node = settings.node
    replayed = node.environment == REPLAY
    products = {"perpetual" if replayed or Market.parse(market).is_derivative else "spot" for market in markets}
    kinds = {_KINDS[node.venue, product].of: (_KINDS[node.venue, product], product) for product in products}
    place = f"{node.venue} {node.environment}"
    if len(kinds) != 1:
        raise VenueError(
            f"{', '.join(markets) or 'no market'}: {len(kinds)} accounts of {node.venue}",
            where=place,
            remedy="run one node for spot and one for perpetuals, each with a data folder of its own",
        )
    kind, product = next(iter(kinds.values()))
    address = node.base_url_http
    if replayed:
        address = address or f"http://{settings.replay.host}:{settings.replay.port}"
    keys = _rehearsal_keys() if replayed else credentials(node.venue, product, node.environment)
    sandbox = kind.sandbox if node.environment == "testnet" else ""
    return make_account(node.venue, product, keys, markets, place=place, base_url=address, sandbox=sandbox, tell=tell)


def make_account(
    venue: str,
    product: str,
    keys: Credentials,
    markets: Sequence[str],
    *,
    place: str,
    base_url: str | None = None,
    sandbox: str = "",
    timeout_s: float = TIMEOUT_S,
    waits: Backoff | None = None,
    tell: Callable[[str, str], None] | None = None,
) -> RestAccount:
    """An account of a venue by its parts, as :func:`account_of` takes them from the settings."""
    kind = _KINDS[venue, product]
    requests = Requests(
        kind.exchange,
        keys,
        place=place,
        base_url=base_url,
        sandbox=sandbox,
        paced=kind.paced,
        timeout_s=timeout_s,
        waits=waits,
        tell=tell,
    )
    return kind.of(requests, markets, ids=kind.ids)


def ccxt_exchange(venue: str, product: str) -> str:
    """Ccxt's id of the exchange on which a venue keeps ``perpetual`` or ``spot``."""
    return _KINDS[venue, product].exchange


def _rehearsal_keys() -> Credentials:
    """Those that the local exchange publishes: made up, and good for nothing else."""
    made_up = import_module("trading_live.replay.orders.keys")
    return Credentials(made_up.REHEARSAL_KEY, made_up.REHEARSAL_SECRET)

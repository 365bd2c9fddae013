"""What the node must know of a venue: one object for each, the local exchange among them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from trading_assets.core.candles import Market
from trading_assets.core.errors import SettingsError
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.feed import Clock
from trading_assets.strategies.orders.matching import AT_VENUE, AT_VENUE_SPOT, Matching
from trading_live.venues.account.keys import Credentials, credentials

type Product = Literal["spot", "perpetual", "dated"]


@dataclass(frozen=True, slots=True)
class DataClient:
    """A client for the engine's builder: the adapter's factory and its configuration."""

    factory: Any
    config: Any


@dataclass(frozen=True, slots=True)
class Books:
    """What a venue's order books and trades are like.

    Attributes
    ----------
    levels
        Levels that the adapter keeps: more than are recorded, because a level behind the last one may move up.
    numbered_trades
        Whether each market's trades are numbered one after the other.
    """

    levels: int
    numbered_trades: bool = False


@dataclass(frozen=True, slots=True)
class Glance:
    """What a venue says before the engine starts.

    Attributes
    ----------
    now
        The market's time where the venue has one of its own; None where it is this machine's.
    symbols
        Everything that it has, where it can tell; None where only the engine will know.
    """

    now: datetime | None = None
    symbols: frozenset[str] | None = None


class WallClock:
    """The clock of this machine: what a venue's bars are compared with."""

    remote = False

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)


class Venue(ABC):
    """A venue of the settings: how it names instruments, which adapter speaks to it, and what can be relied on.

    A venue is a class in a module of its name here, bound to ``VENUE``, and a value of ``node.venue``. It must give
    ``instruments``, ``timeframes`` and :meth:`data_client`; everything else has a default that is true of most.

    Attributes
    ----------
    name
        As the settings write it, and as a market's exchange.
    instruments
        Product -> the engine's name of an instrument, with ``{base}``, ``{quote}`` and ``{expiry}``.
    timeframes
        Of the bars that its adapter both streams and serves, where they are counted from midnight UTC.
    books
        Its order books and trades.
    historic
        Whether bars carry times of the past, so that this machine's clock says nothing of them.
    finer_bars_first
        Whether, of bars that end together, the finer ones come first; else a decision waits for them.
    reloads_instruments
        Whether its adapter reads bars by an instrument's new steps as soon as it has loaded them.
    streams_balances
        Whether its adapter hears what the account owns whenever that changes; else the node has it asked.
    look_back_min
        How far back an engine that starts asks for orders; None for all of them, where the adapter leaves out what
        rests if nothing has happened to it since then.

    Parameters
    ----------
    settings
        Environment and addresses (``node``), and the markets.
    """

    name: ClassVar[str]
    instruments: ClassVar[Mapping[Product, str]]
    timeframes: ClassVar[tuple[str, ...]]
    books: ClassVar[Books]
    historic: ClassVar[bool] = False
    finer_bars_first: ClassVar[bool] = False
    reloads_instruments: ClassVar[bool] = False
    streams_balances: ClassVar[bool] = True
    look_back_min: ClassVar[int | None] = 1_440

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def node(self) -> NodeSettings:
        """The settings of the node."""
        return self.settings.node

    @property
    def place(self) -> str:
        """Venue and environment, as the journal says it; with mode and account where these are not paper's."""
        node = self.node
        account = f" {node.account}" if node.mode == "live" else ""
        return f"{node.venue} {node.environment}" + ("" if node.mode == "paper" else f", {node.mode}{account}")

    @property
    def engine_name(self) -> str:
        """The venue of its instruments in the engine."""
        return self.node.venue.upper()

    # -- markets --------------------------------------------------------------------------------------------------

    def instrument_id(self, market: str) -> str:
        """The instrument that a market is traded as; the market's own exchange does not matter.

        Raises
        ------
        SettingsError
            For a product that the venue's instruments are not known of.
        """
        parsed = Market.parse(market)
        product = product_of(parsed)
        if product not in self.instruments:
            what = {"dated": "a dated future", "spot": "a spot market", "perpetual": "a perpetual"}[product]
            others = " or ".join({"dated": "dated future", "spot": "spot market"}.get(p, p) for p in self.instruments)
            raise SettingsError(f"{market} is {what}", where=f"venue {self.name}", remedy=f"trade its {others}")
        return self.instruments[product].format(base=self.base_code(parsed), quote=parsed.quote, expiry=parsed.expiry)

    def base_code(self, market: Market) -> str:
        """How the venue writes a market's base currency in the names of instruments."""
        return market.base

    def carries(self, market: str) -> bool:
        """Whether a market of the settings is one of the venue's."""
        return Market.parse(market).exchange == self.name

    def require(self, markets: Iterable[str], glance: Glance) -> None:
        """Refuse markets that the venue is known not to have, before the engine starts.

        Raises
        ------
        NodeError
            If it lacks one.
        """
        del markets, glance  # of most venues only the engine will know

    def also(self, wanted: Iterable[str], needed: Iterable[str], glance: Glance) -> set[str]:
        """Those of the settings' markets that the node can listen to beside the ones it needs."""
        products = {Market.parse(market).is_perpetual for market in needed}
        parsed = {market: Market.parse(market) for market in wanted}
        return {market for market, one in parsed.items() if self.carries(market) and one.is_perpetual in products}

    def timeframes_of(self, market: str) -> tuple[str, ...]:
        """The timeframes of a market's bars that come from here."""
        return self.timeframes

    def refusal(self, market: str, timeframe: str) -> str | None:
        """Why a market's bars of a timeframe cannot be had; None where they can."""
        known = self.timeframes_of(market)
        if timeframe in known:
            return None
        what = f"{self.name} streams no {timeframe} bars of {market}"
        return f"{what}; it has {', '.join(known)}" if known else f"{what}, nor of another timeframe"

    def finest_timeframe(self, markets: Sequence[str]) -> str:
        """The finest bars that it has of all these markets."""
        return "1m"

    # -- the engine -----------------------------------------------------------------------------------------------

    @abstractmethod
    def data_client(self, markets: Sequence[str]) -> DataClient:
        """The market-data client. Bars are public: no key is needed, and one in the adapter's own variables is read.

        Raises
        ------
        SettingsError
            If the venue has no such environment or cannot mix these products.
        """

    @property
    def address(self) -> str:
        """What does not answer, in an error."""
        return self.node.base_url_http or self.place

    # -- orders ---------------------------------------------------------------------------------------------------

    def check_address(self) -> None:  # noqa: B027
        """Refuse an address that orders must not be sent to.

        Raises
        ------
        SettingsError
            If orders of the environment do not belong there.
        """

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """The adapter's client that sends orders, with the keys of the environment.

        Parameters
        ----------
        markets
            Of one account.
        untraded
            Those of them that the venue does not trade: some adapters know nothing of these, and must not be asked.

        Raises
        ------
        SettingsError
            If the venue takes no orders through an adapter.
        NodeError
            If a key is missing.
        """
        raise SettingsError(
            f"{self.name} is for data only: no adapter sends orders to it",
            where="node.venue",
            remedy="trade on binance, bybit, okx or kraken",
        )

    def credentials(self, markets: Sequence[str]) -> Credentials:
        """The keys of the account that trades these markets.

        Raises
        ------
        VenueError
            If a variable of the environment is not set.
        """
        product = "perpetual" if single_product(self.name, markets) else "spot"
        return credentials(self.name, product, self.node.environment)

    def matching(self, markets: Sequence[str]) -> Matching:
        """What the venue does with the orders of these markets."""
        return AT_VENUE if single_product(self.name, markets) else AT_VENUE_SPOT

    # -- time -----------------------------------------------------------------------------------------------------

    def look(self) -> Glance:
        """Ask what can be asked before the engine starts.

        Raises
        ------
        NodeError
            If it should answer and does not.
        """
        return Glance()

    def clock(self) -> Clock:
        """What time it is there."""
        return WallClock()

    def follow(self, heard: Callable[[], datetime | None]) -> AbstractContextManager[object]:
        """Tell the venue how far the node has come while the engine runs, where it wants to know."""
        return nullcontext()


def product_of(market: Market) -> Product:
    """What kind of product a market is."""
    return "dated" if market.expiry else "perpetual" if market.is_perpetual else "spot"


def single_product(venue: str, markets: Sequence[str]) -> bool:
    """Whether these are perpetuals, for an adapter whose client serves one product.

    Raises
    ------
    SettingsError
        If there are spot markets and perpetuals.
    """
    products = perpetual_or_spot(markets)
    if len(products) != 1:
        raise SettingsError(
            f"one {venue} client serves spot or perpetuals, not both: {', '.join(markets)}",
            where="models",
            remedy="run one node for each, with a data folder of its own",
        )
    return products.pop()


def perpetual_or_spot(markets: Sequence[str]) -> set[bool]:
    """Which products there are: True for perpetuals, False for spot."""
    return {Market.parse(market).is_perpetual for market in markets}


def whole_minutes(seconds: float) -> int:
    """Seconds as minutes, at least one."""
    return max(round(seconds / 60), 1)

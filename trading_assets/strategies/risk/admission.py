"""Whether an entry that a model wants is admitted by all limits, and how large it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

from nautilus_trader.model import InstrumentId
from nautilus_trader.trading import Strategy

from trading_assets.core.precision import money
from trading_assets.settings import RiskSettings, SizingSettings
from trading_assets.strategies.orders.contracts import contracts, in_base, size_of
from trading_assets.strategies.orders.limits import OrderLimits, cut_to_volume
from trading_assets.strategies.plans.plan import farthest_prices
from trading_assets.strategies.risk.cash import SpotCash
from trading_assets.strategies.risk.closes import Closes, realised_volatility
from trading_assets.strategies.risk.correlation import DailyClusters
from trading_assets.strategies.risk.exposure import Holding, room
from trading_assets.strategies.risk.gate import ROUND_TRIP_ORDERS, RiskGate
from trading_assets.strategies.signals import ClosedBar, Signal, Stream
from trading_assets.strategies.sizing import Sizing, Stake, sizing_of

WeightOf = Callable[[str], float]
"""Model -> the share of the account's equity, 0 to 1, that it trades with."""

_WHOLE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What sizes and limits may know of the past; without it, what asks for it refuses.

    Attributes
    ----------
    closes
        Of decision bars, none later than asked for.
    clusters
        Markets that move together; None where no limit asks.
    """

    closes: Closes
    clusters: DailyClusters | None = None

    @classmethod
    def of(cls, streams: Iterable[Stream], closes: Closes, limits: RiskSettings) -> Self:
        """What limits ask for of the markets that are decided on."""
        if limits.max_correlated_leverage is None:
            return cls(closes)
        days, least = limits.correlation_days, limits.correlated_from
        return cls(closes, DailyClusters(streams, closes, days=days, correlated_from=least))


@dataclass(frozen=True, slots=True)
class _Size:
    """What is to be ordered, what it is worth, and the words that say how it came about."""

    quantity: float
    worth: float
    said: str


class EntryAdmission:
    """Asked about every signal; what refuses a wanted entry is named with value and limit.

    Parameters
    ----------
    strategy
        Whose cache and portfolio these are.
    instruments
        Market -> the venue's instrument.
    gate, cash
        The risk limits, and what a spot account can pay for.
    entry_veto
        Asked with the signal; a text refuses it.
    sizing
        How large a position is, before any limit.
    weight_of
        The share of equity that a model trades with; None where each has the whole.
    knowledge
        What is known of the past.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: Mapping[str, InstrumentId],
        gate: RiskGate,
        cash: SpotCash,
        entry_veto: Callable[[Signal], str | None] | None,
        *,
        sizing: SizingSettings,
        weight_of: WeightOf | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self._strategy = strategy
        self._instruments = instruments
        self._gate = gate
        self._cash = cash
        self._entry_veto = entry_veto
        self._sizing: Sizing[Any] = sizing_of(sizing)
        self._max_volume_share = sizing.max_volume_share
        self._weight_of = weight_of
        self._knowledge = knowledge
        self._prices: dict[str, float] = {}
        self._entered: list[Holding] = []
        self._bound = 0.0

    def begin_pass(self) -> None:
        """From now on, entries are decided that are sent together: each counts for those after it."""
        self._entered, self._bound = [], 0.0

    def mark(self, bar: ClosedBar) -> None:
        """Take the newest price of a market, which open positions are worth."""
        self._prices[bar.market] = bar.close

    def equity(self) -> dict[str, float]:
        """Currency -> what the account is worth, with what is open at the newest prices."""
        found = dict[str, float]()
        for venue in {instrument.venue for instrument in self._instruments.values()}:
            told = {one.code: float(money.as_double()) for one, money in self._strategy.portfolio.equity(venue).items()}
            for code, amount in told.items():
                found[code] = found.get(code, 0.0) + amount + self._cash.unbooked(told, code, self._prices)
        return found

    def verdict(self, signal: Signal, bar: ClosedBar, *, held: str | None, halted: str | None) -> tuple[str, str, Any]:
        """Action, reason, and the quantity to buy or to sell where the action is ``enter``.

        Parameters
        ----------
        signal, bar
            What the model says, and the bar that it says it of.
        held
            Which signal's trade is open on the market or on its way; None where none is.
        halted
            Why nothing is entered any more.
        """
        if not signal.enters:
            return "hold", signal.reason, None
        if held is not None:
            return "hold", _whose(held, signal), None
        if halted is not None:
            return "refuse", f"halted: {halted}", None
        if self._entry_veto is not None and (why := self._entry_veto(signal)) is not None:
            return "refuse", why, None
        instrument = self._strategy.cache.instrument(self._instruments[signal.market])
        if instrument is None:
            return "refuse", f"{self._instruments[signal.market]} is not known to the venue", None
        size = self._size(signal, bar, instrument)
        if isinstance(size, str):
            return "refuse", size, None
        targets = len(signal.plan.targets)
        orders = ROUND_TRIP_ORDERS * (len(self._entered) + 1) + max(targets - 1, 0)
        if (refusal := self._gate.refusal(bar.known_at, size.worth, orders=orders)) is not None:
            return "refuse", refusal, None
        self._entered.append(Holding(signal.market, signal.side, size.worth))
        self._bound += self._cash.order(signal.market, size.worth)
        reason = f"{signal.reason}; {size.said}" if size.said else signal.reason
        return "enter", reason, instrument.make_qty(contracts(size.quantity, size_of(instrument)))

    def _size(self, signal: Signal, bar: ClosedBar, instrument: Any) -> _Size | str:
        """What is to be ordered, or why nothing is: the sizing's stake, cut by each limit after the other."""
        limits, equity, stake = OrderLimits.of(instrument), self._equity(instrument), self._stake(signal, bar)
        if stake.share <= 0 and stake.why:
            return stake.why
        weight = _WHOLE if self._weight_of is None else self._weight_of(signal.model)
        if weight <= 0:
            return f"the model {signal.model} has {weight:g} of the capital: its weight in the portfolio"
        wanted = stake.share * (equity if weight == _WHOLE else weight * equity)
        notional, too_large = self._gate.cut(wanted)
        left = room(
            Holding(signal.market, signal.side, notional),
            self._holdings(),
            equity,
            self._gate.limits,
            self._same_move(bar),
        )
        if left.refusal:
            return left.refusal
        whole = limits.whole_steps(left.notional / bar.close)
        volume = in_base(bar.volume, size_of(instrument))
        quantity, little_volume = cut_to_volume(whole, volume, self._max_volume_share, limits)
        balance = partial(self._balance, instrument)
        quantity, little_cash = self._cash.cut(signal.market, quantity, bar.close, limits, balance)
        cut = "; ".join(filter(None, (too_large, *left.cuts, little_volume, little_cash)))
        worth = quantity * bar.close
        stop, target = farthest_prices(signal.side, bar.close, signal.plan)
        denial = limits.refusal(quantity, bar.close, stop=stop, target=target) or self._gate.too_small(worth)
        if denial is not None:
            return f"{cut}: {denial}" if cut else f"{denial}, for {money(notional)}"
        if (refusal := self._cash.refusal(signal.market, signal.side, worth, balance)) is not None:
            return refusal
        return _Size(quantity, worth, "; ".join(filter(None, (stake.why, cut))))

    def _stake(self, signal: Signal, bar: ClosedBar) -> Stake:
        """How large the position is to be, of the model's capital."""
        window = self._sizing.look_back
        if not window or self._knowledge is None:
            return self._sizing.stake(signal)
        known = self._knowledge.closes(bar.stream, bar.known_at - window, bar.known_at)
        return self._sizing.stake(signal, volatility=realised_volatility(known, window))

    def _same_move(self, bar: ClosedBar) -> Callable[[Holding, Holding], bool]:
        """What is known of it; without that, positions on the same side count as one."""
        clusters = None if self._knowledge is None else self._knowledge.clusters
        if clusters is None or self._gate.limits.max_correlated_leverage is None:
            return lambda one, other: one.side is other.side
        return clusters.at(bar.known_at).same_move

    def _holdings(self) -> list[Holding]:
        """What is open or ordered, and what this pass has admitted before."""
        found = []
        for market, plan in self._cash.trades.open.items():
            position = self._cash.trades.position(market)
            quantity = self._cash.trades.held(market, position) if position is not None else 0.0
            if plan.stage == "entering":
                quantity = max(quantity, plan.quantity)
            price = self._prices.get(market) or plan.entry_price
            found.append(Holding(market, plan.side, quantity * price))
        return [*found, *self._entered]

    def _balance(self, instrument: Any) -> float:
        return self._cash.balance(self._strategy.portfolio, instrument, self._prices) - self._bound

    def _equity(self, instrument: Any) -> float:
        """Balance and open positions at their last price; the account object would come with its whole history."""
        return self._cash.equity(self._strategy.portfolio, instrument, self._prices)


def _whose(held: str, signal: Signal) -> str:
    """That a trade is open, and whose where it is another model's: of another timeframe, or of one before."""
    model, found, _ = held.partition(f"-{signal.market}-")
    mine = model.rpartition("-v")[0] == signal.model
    return "a trade is open" if mine or not found else f"a trade of {model} is open"

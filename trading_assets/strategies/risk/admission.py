"""Whether an entry that a model wants is admitted by all limits, and how large it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nautilus_trader.model import InstrumentId
from nautilus_trader.trading import Strategy

from trading_assets.core.precision import money
from trading_assets.strategies.orders.limits import OrderLimits, cut_to_volume
from trading_assets.strategies.orders.plans import barrier_prices
from trading_assets.strategies.risk.cash import SpotCash, settled_balance
from trading_assets.strategies.risk.gate import ROUND_TRIP_ORDERS, RiskGate
from trading_assets.strategies.signals import ClosedBar, Signal


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
    position_share, max_volume_share
        Of the account's equity, and of what the decision bar traded.
    kelly_fraction
        Of the signal's Kelly stake, which a position does not exceed; None where all are of ``position_share``.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: Mapping[str, InstrumentId],
        gate: RiskGate,
        cash: SpotCash,
        entry_veto: Callable[[Signal], str | None] | None,
        *,
        position_share: float,
        kelly_fraction: float | None,
        max_volume_share: float | None,
    ) -> None:
        self._strategy = strategy
        self._instruments = instruments
        self._gate = gate
        self._cash = cash
        self._entry_veto = entry_veto
        self._position_share = position_share
        self._kelly_fraction = kelly_fraction
        self._max_volume_share = max_volume_share
        self._entries = 0
        self._bound = 0.0

    def begin_pass(self) -> None:
        """From now on, entries are decided that are sent together: each counts for those after it."""
        self._entries, self._bound = 0, 0.0

    def verdict(self, signal: Signal, bar: ClosedBar, *, held: bool, halted: str | None) -> tuple[str, str, Any]:
        """Action, reason, and the quantity to buy or to sell where the action is ``enter``.

        Parameters
        ----------
        signal, bar
            What the model says, and the bar that it says it of.
        held
            Whether a trade is open on the market.
        halted
            Why nothing is entered any more.
        """
        if not signal.enters:
            return "hold", signal.reason, None
        if held:
            return "hold", "a trade is open", None
        if halted is not None:
            return "refuse", f"halted: {halted}", None
        if self._entry_veto is not None and (why := self._entry_veto(signal)) is not None:
            return "refuse", why, None
        instrument = self._strategy.cache.instrument(self._instruments[signal.market])
        if instrument is None:
            return "refuse", f"{self._instruments[signal.market]} is not known to the venue", None
        limits = OrderLimits.of(instrument)
        notional = min(self._share(signal) * self._equity(instrument), self._gate.limits.max_position_notional)
        wanted = limits.whole_steps(notional / bar.close)
        quantity, little_volume = cut_to_volume(wanted, bar.volume, self._max_volume_share, limits)
        balance = partial(self._balance, instrument)
        quantity, little_cash = self._cash.cut(signal.market, quantity, bar.close, limits, balance)
        cut = "; ".join(filter(None, (little_volume, little_cash)))
        stop, target = barrier_prices(signal.side, bar.close, signal.take_profit_pct, signal.stop_loss_pct)
        if (denial := limits.refusal(quantity, bar.close, stop=stop, target=target)) is not None:
            return "refuse", f"{cut}: {denial}" if cut else f"{denial}, for {money(notional)}", None
        worth = quantity * bar.close
        if (refusal := self._cash.refusal(signal.market, signal.side, worth, balance)) is not None:
            return "refuse", refusal, None
        orders = ROUND_TRIP_ORDERS * (self._entries + 1)
        if (refusal := self._gate.refusal(bar.known_at, worth, orders=orders)) is not None:
            return "refuse", refusal, None
        self._entries += 1
        self._bound += self._cash.order(signal.market, worth)
        return "enter", f"{signal.reason}; {cut}" if cut else signal.reason, instrument.make_qty(quantity)

    def _share(self, signal: Signal) -> float:
        """Of equity, that the position is to be."""
        if self._kelly_fraction is None:
            return self._position_share
        return min(self._position_share, self._kelly_fraction * signal.kelly_share)

    def _balance(self, instrument: Any) -> float:
        return settled_balance(self._strategy.portfolio, instrument) - self._bound

    def _equity(self, instrument: Any) -> float:
        """Balance and open positions at their last price; the account object would come with its whole history."""
        equity = self._strategy.portfolio.equity(instrument.id.venue).get(instrument.quote_currency)
        return float(equity.as_double()) if equity is not None else 0.0

"""Paper trading: the engine's sandbox, which forgets everything when its process ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from nautilus_trader.common import Environment
from nautilus_trader.model import AccountId, AccountType, Currency, InstrumentId, Money, OmsType
from nautilus_trader.model import Venue as EngineVenue

from trading_assets.core.candles import Market
from trading_assets.settings import Settings
from trading_assets.strategies.orders.matching import SANDBOX, Matching
from trading_live.execution.contract import NOTHING_APART, Apart, Tell
from trading_live.recovery.from_journal import Recovered, recover
from trading_live.recovery.ledger import NAME as LEDGER
from trading_live.recovery.ledger import ledger_factory
from trading_live.venues.contract import DataClient, Venue

ENDED_WITH_THE_PROCESS: Final = "the process ended, and the sandbox with it"


class Sandbox:
    """Orders are matched in the node against the venue's bars, with the backtest's fees and slippage.

    Its recovery: the journal is the only memory. Orders that rested have ended with the process, what was realised is
    added to the starting balance, and open positions are told to the engine by a client that only reports.

    Parameters
    ----------
    settings
        Costs and starting balance.
    venue
        Whose instruments are traded.
    """

    environment = Environment.SANDBOX
    goodbye_s = 1

    def __init__(self, settings: Settings, venue: Venue) -> None:
        self._settings = settings
        self._venue = venue
        self.account = AccountId(f"{venue.engine_name}-001")

    def recover(self, journal: Path) -> Recovered:
        """What the journal says, without the orders that rested."""
        return recover(journal, orders_ended=ENDED_WITH_THE_PROCESS)

    def matching(self, markets: Sequence[str]) -> Matching:
        """The sandbox's."""
        return SANDBOX

    def prepare(self, markets: Sequence[str], recovered: Recovered, journal: Path, tell: Tell) -> Apart:
        """Nobody else has the sandbox."""
        return NOTHING_APART

    def join(self, builder: Any, instruments: Mapping[str, InstrumentId], recovered: Recovered) -> Any:
        """Add the sandbox, and the client that reports what is open."""
        realized, start = recovered.realized or {}, self._settings.node.starting_balance
        balances = {code: start + realized.get(code, 0.0) for code in quote_currencies(list(instruments))}
        client = self.client(balances, instruments)
        builder = builder.with_reconciliation(bool(recovered.holdings))
        builder = builder.add_simulated_exec_client(None, client.factory, client.config)
        if recovered.holdings:
            factory, config = ledger_factory(recovered.holdings, instruments, self.account)
            builder = builder.add_exec_client(LEDGER, factory, config)
        return builder

    def client(
        self, balances: Mapping[str, float], instruments: Mapping[str, InstrumentId] = MappingProxyType({})
    ) -> DataClient:
        """The sandbox's client with these balances, and the fees of each market's venue."""
        from nautilus_trader.adapters.sandbox import SandboxExecutionClientConfig, SandboxExecutionClientFactory
        from nautilus_trader.execution import DefaultFillModel, MakerTakerFeeModel

        costs = self._settings.simulation
        usual = (_rate(costs.maker_fee_bps), _rate(costs.market_order_bps))
        own = {
            instrument: (_rate(maker), _rate(taker + costs.slippage_bps))
            for market, instrument in instruments.items()
            for maker, taker in (costs.rates(market),)
        }
        certain = 1.0 if costs.target_fill == "touch" else 0.0
        config = SandboxExecutionClientConfig(
            venue=EngineVenue(self._venue.engine_name),
            account_id=self.account,
            account_type=AccountType.MARGIN,
            oms_type=OmsType.NETTING,
            starting_balances=[Money(amount, Currency.from_str(code)) for code, amount in sorted(balances.items())],
            fee_model=MakerTakerFeeModel(*usual, {one: rates for one, rates in own.items() if rates != usual} or None),
            fill_model=DefaultFillModel(certain, costs.slippage_probability, costs.seed),
            use_random_ids=True,
            trade_execution=False,
        )
        return DataClient(SandboxExecutionClientFactory(), config)


def quote_currencies(markets: Sequence[str]) -> list[str]:
    """The currencies in which the markets are settled."""
    return sorted({Market.parse(market).quote for market in markets})


def _rate(bps: float) -> Decimal:
    return Decimal(str(bps)) / 10_000

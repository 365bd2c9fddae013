"""Real orders: the venue's own execution client, and the checks that the engine makes of what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nautilus_trader.common import Environment
from nautilus_trader.live import LiveExecutionEngineConfig, SubmissionRecoveryPolicy
from nautilus_trader.model import AccountId, InstrumentId

from trading_assets.settings import Settings
from trading_assets.strategies.orders.matching import Matching
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_live.execution.contract import Apart, Tell
from trading_live.execution.start_checks import AccountLock, Known, check_clock, check_holdings, check_modes
from trading_live.reconciliation.asking import is_of_journal
from trading_live.recovery.at_venue import recover_at_venue
from trading_live.recovery.from_journal import Recovered
from trading_live.recovery.ledger import NAME as LEDGER
from trading_live.recovery.ledger import ledger_factory
from trading_live.venues.account.open import account_of
from trading_live.venues.contract import Venue

INFLIGHT_MS: Final = 500
INFLIGHT_RETRIES: Final = 5
"""An order of which nothing is heard is asked for twice a second, and taken as refused after five times: the venue did
not have it by then. The account is asked about an entry once more; another order that it has all the same is found when
the account is compared."""

OPEN_CHECK_S: Final = 15.0
"""All open orders of an account weigh 80 of the 2,400 that Binance grants a minute."""

POSITION_CHECK_S: Final = 5.0
LOOK_BACK_MIN: Final = 1_440


class AtVenue:
    """Orders go to the venue, and what it says of them is what happened.

    Its recovery: the venue remembers orders, fills and positions, so that nothing of the journal is taken as ended: the
    venue is asked what became of it. The engine asks for what is open when it starts. Of spot a venue knows balances
    only: the journal says what of them is a position.

    Parameters
    ----------
    settings
        Environment and account.
    venue
        Whose client it is.
    """

    environment = Environment.LIVE
    goodbye_s = 5

    def __init__(self, settings: Settings, venue: Venue) -> None:
        self._settings = settings
        self._venue = venue
        self.account = AccountId(f"{venue.engine_name}-001")
        self._lock: AccountLock | None = None
        self._untraded: Mapping[str, str] = {}

    def recover(self, journal: Path) -> Recovered:
        """What the journal and the venue say together: what ended while no node ran is found first."""
        ids = OrderIds(self._settings.node.account)
        return recover_at_venue(journal, lambda markets: account_of(self._settings, markets), ids, self._venue.place)

    def matching(self, markets: Sequence[str]) -> Matching:
        """The venue's."""
        return self._venue.matching(markets)

    def prepare(self, markets: Sequence[str], recovered: Recovered, journal: Path, tell: Tell) -> Apart:
        """Take the account for this node alone, and see to its clock, what is traded, its modes and what it holds."""
        node, keys = self._settings.node, self._venue.credentials(markets)
        if self._lock is None:
            self._lock = AccountLock((node.venue, node.environment, self._venue.address, keys.key))
        self._lock.acquire(self._venue.place)
        account, ids = account_of(self._settings, markets, tell=tell), OrderIds(node.account)
        if not self._venue.historic:
            check_clock(account, node.max_clock_skew_s)
        self._untraded = account.untraded(markets)
        check_modes(account, [one for one in markets if one not in self._untraded], node, tell)
        known = Known(recovered.open_markets, lambda order_id: is_of_journal(journal, order_id))
        return Apart(check_holdings(account, markets, ids, known, adopt=node.adopt), self._untraded)

    def join(self, builder: Any, instruments: Mapping[str, InstrumentId], recovered: Recovered) -> Any:
        """Add the venue's client and the engine's checks; for spot, the client that reports what the journal holds."""
        markets = list(instruments)
        client = self._venue.order_client(markets, self._untraded)
        builder = builder.with_exec_engine_config(execution_checks(instruments.values(), self._venue.look_back_min))
        builder = builder.with_reconciliation(True).add_exec_client(None, client.factory, client.config)
        if recovered.holdings and self.matching(markets).binds:
            factory, config = ledger_factory(recovered.holdings, instruments, self.account)
            builder = builder.add_exec_client(LEDGER, factory, config)
        return builder


def execution_checks(
    instruments: Iterable[InstrumentId], look_back_min: int | None = LOOK_BACK_MIN
) -> LiveExecutionEngineConfig:
    """Every check that the engine has of orders and positions, with limits that fit a trade protected within a second.

    Open orders are asked for as open ones: asked for all orders without naming a market, Binance's client answers with
    none, and the engine would take every order that rests as refused.
    """
    return LiveExecutionEngineConfig(
        reconciliation=True,
        reconciliation_lookback_mins=look_back_min,
        reconciliation_instrument_ids=[str(one) for one in instruments],
        reconciliation_startup_delay_secs=5.0,
        generate_missing_orders=True,
        filter_unclaimed_external_orders=False,
        inflight_check_interval_ms=250,
        inflight_check_threshold_ms=INFLIGHT_MS,
        inflight_check_retries=INFLIGHT_RETRIES,
        submission_recovery_policy=SubmissionRecoveryPolicy.RESOLVE_LOCALLY,
        open_check_interval_secs=OPEN_CHECK_S,
        open_check_open_only=True,
        open_check_lookback_mins=LOOK_BACK_MIN,
        open_check_threshold_ms=5_000,
        open_check_missing_retries=3,
        position_check_interval_secs=POSITION_CHECK_S,
        position_check_lookback_mins=LOOK_BACK_MIN,
        position_check_threshold_ms=3_000,
        position_check_retries=3,
    )

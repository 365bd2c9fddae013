"""Published fee schedules of venues, in basis points of the notional: what a tier's name in the settings means.

A schedule changes without notice and differs by country, discount and campaign: an account's own rates, which the venue
shows, go before these. Sources, with what they said when they were read:

- Binance USD-M futures: binance.com/en/fee/futureFee, users without the discount for paying in BNB (2025).
- Binance spot: binance.com/en/fee/schedule, likewise, the entry tiers (2025).
- Bybit: bybit.com/en/help-center, "Trading Fee Structure", users without VIP (2025).
- OKX: okx.com/fees, regular users of the first level (2025).
- Kraken derivatives: support.kraken.com/articles/fees-for-derivatives-trading-eea, by 30-day volume (2026).
- Kraken spot: kraken.com/features/fee-schedule, Kraken Pro, by 30-day volume (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

type FeeProduct = Literal["spot", "derivatives"]


class Rates(NamedTuple):
    """Of an order that rests, and of one that takes, in basis points of its notional."""

    maker_bps: float
    taker_bps: float


SCHEDULES: Final[Mapping[tuple[str, FeeProduct], Mapping[str, Rates]]] = {
    ("binance", "derivatives"): {
        "regular": Rates(2.0, 5.0),
        "vip1": Rates(1.6, 4.0),
        "vip2": Rates(1.4, 3.5),
        "vip3": Rates(1.2, 3.2),
        "vip4": Rates(1.0, 3.0),
        "vip5": Rates(0.8, 2.7),
        "vip6": Rates(0.6, 2.5),
        "vip7": Rates(0.4, 2.2),
        "vip8": Rates(0.2, 2.0),
        "vip9": Rates(0.0, 1.7),
    },
    ("binance", "spot"): {"regular": Rates(10.0, 10.0), "vip1": Rates(9.0, 10.0), "vip2": Rates(8.0, 10.0)},
    ("bybit", "derivatives"): {"regular": Rates(2.0, 5.5)},
    ("bybit", "spot"): {"regular": Rates(10.0, 10.0)},
    ("okx", "derivatives"): {"regular": Rates(2.0, 5.0)},
    ("okx", "spot"): {"regular": Rates(8.0, 10.0)},
    ("kraken", "derivatives"): {
        "regular": Rates(2.0, 5.0),
        "2.5m": Rates(1.5, 4.5),
        "5m": Rates(1.25, 4.0),
        "10m": Rates(1.0, 3.5),
        "20m": Rates(0.75, 3.0),
    },
    ("kraken", "spot"): {
        "regular": Rates(25.0, 40.0),
        "10k": Rates(20.0, 35.0),
        "50k": Rates(14.0, 24.0),
        "100k": Rates(12.0, 22.0),
        "250k": Rates(10.0, 20.0),
        "500k": Rates(8.0, 18.0),
        "1m": Rates(6.0, 16.0),
    },
}
"""Venue and kind of market -> tier -> its rates."""

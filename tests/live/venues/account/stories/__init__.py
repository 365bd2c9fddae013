"""One story in the words of each venue, by the samples of their documentation.

The account has: a target of ours that rests (half filled), a stop of ours that rests, a limit of somebody else; an
entry of ours that was filled in two parts, a stop of ours that was triggered and filled; a long position of 0.5
(perpetuals); 1,000 of the quote currency; a fee, a result and a funding payment.
"""

from __future__ import annotations

from tests.live.venues.account.stories.binance import SPOT, USDM
from tests.live.venues.account.stories.bybit import BYBIT
from tests.live.venues.account.stories.kraken import KRAKEN_FUTURES, KRAKEN_SPOT
from tests.live.venues.account.stories.okx import OKX

STORIES = {
    "binance perpetual": ("binance", "perpetual", "binance:BTC/USDT:USDT", USDM),
    "binance spot": ("binance", "spot", "binance:BTC/USDT", SPOT),
    "bybit perpetual": ("bybit", "perpetual", "bybit:BTC/USDT:USDT", BYBIT),
    "okx perpetual": ("okx", "perpetual", "okx:BTC/USDT:USDT", OKX),
    "kraken perpetual": ("kraken", "perpetual", "kraken:BTC/USD:USD", KRAKEN_FUTURES),
    "kraken spot": ("kraken", "spot", "kraken:BTC/USD", KRAKEN_SPOT),
}

"""Who asks, in Bybit's way: headers of requests, and the first message of a private connection. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trading_live.replay.orders.exchange.model import Refusal
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET

_WINDOW_MS: Final = 5_000
_AHEAD_MS: Final = 1_000
UNKNOWN_KEY: Final = Refusal(10003, "API key is invalid.")
WRONG_SIGN: Final = Refusal(10004, "Error sign, please check your signature generation algorithm.")
WRONG_TIME: Final = Refusal(10002, "invalid request, please check your server timestamp or recv_window param.")


def refusal(headers: Mapping[str, str], payload: str, clocks: Iterable[int]) -> Refusal | None:
    """Whether a request is the account's and of now; ``payload`` is the query or the body as it was sent."""
    key, stamp = headers.get("X-BAPI-API-KEY", ""), headers.get("X-BAPI-TIMESTAMP", "")
    window = headers.get("X-BAPI-RECV-WINDOW", str(_WINDOW_MS))
    if key != REHEARSAL_KEY:
        return UNKNOWN_KEY
    if not stamp.isdecimal() or not window.isdecimal():
        return WRONG_TIME
    if not any(-_AHEAD_MS < clock - int(stamp) <= int(window) for clock in clocks):
        return WRONG_TIME
    if not hmac.compare_digest(_signed(f"{stamp}{key}{window}{payload}"), headers.get("X-BAPI-SIGN", "")):
        return WRONG_SIGN
    return None


def greeting_refusal(arguments: Sequence[Any], now_ms: int) -> Refusal | None:
    """Whether ``auth`` (key, expiry, signature) is the account's."""
    if len(arguments) != 3 or str(arguments[0]) != REHEARSAL_KEY:
        return UNKNOWN_KEY
    _, expires, sign = (str(one) for one in arguments)
    if not expires.isdecimal() or int(expires) < now_ms:
        return WRONG_TIME
    return None if hmac.compare_digest(_signed(f"GET/realtime{expires}"), sign) else WRONG_SIGN


def _signed(text: str) -> str:
    return hmac.new(REHEARSAL_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

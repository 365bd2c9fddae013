"""Who asks: the key, the signature and the time of a signed request. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from trading_live.replay.orders.exchange.model import Refusal
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET

WINDOW_MS: Final = 5_000
_WIDEST_MS: Final = 60_000
_AHEAD_MS: Final = 1_000


def key_refusal(key: str | None) -> Refusal | None:
    """Whether a key is the account's."""
    if not key:
        return Refusal(-2014, "API-key format invalid.", 401)
    if key != REHEARSAL_KEY:
        return Refusal(-2015, "Invalid API-key, IP, or permissions for action", 401)
    return None


def signature_refusal(query: str, body: str, params: dict[str, str]) -> Refusal | None:
    """Whether a request is signed with the account's secret: HMAC-SHA256 of query and body as they were sent."""
    given = params.get("signature")
    if not given:
        return Refusal(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    payload = "".join(_unsigned(part) for part in (query, body))
    expected = hmac.new(REHEARSAL_SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, given):
        return Refusal(-1022, "Signature for this request is not valid.")
    return None


def time_refusal(params: dict[str, str], clocks: Iterable[int]) -> Refusal | None:
    """Whether a request is of now, by one of the clocks that a client may go by.

    Parameters
    ----------
    params
        With ``timestamp`` and perhaps ``recvWindow``, in milliseconds.
    clocks
        This machine's, and the replayed one that ``/fapi/v1/time`` tells.
    """
    stamp, window = params.get("timestamp", ""), params.get("recvWindow", str(WINDOW_MS))
    if not stamp.isdecimal() or not window.isdecimal():
        return Refusal(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
    if int(window) > _WIDEST_MS:
        return Refusal(-1131, f"recvWindow must be less than {_WIDEST_MS}")
    for clock in clocks:
        if -_AHEAD_MS < clock - int(stamp) <= int(window):
            return None
    return Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))

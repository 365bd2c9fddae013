"""A ccxt client as the exchange source needs it: own address, keys from the environment, answers watched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from trading_assets.core.errors import SourceError
from trading_assets.settings import KEYS_PREFIX, CcxtSource

_CREDENTIALS: Final = {"API_KEY": "apiKey", "SECRET": "secret", "PASSWORD": "password", "UID": "uid"}
TRANSIENT_STATUS: Final = frozenset({408, 418, 425, 429})
_QUOTED: Final = 40
"""Characters of a body that is no JSON which an error shows."""

_SHOWN: Final = 200
"""Characters of an exchange's message that an error shows: some answer with a whole web page."""


@dataclass(slots=True)
class Answer:
    """What is known of the newest HTTP answer; ``status`` is None where none came, ``clock`` where it told no time."""

    status: int | None = None
    retry_after_s: float | None = None
    clock: datetime | None = None

    def clear(self) -> None:
        """Forget the answer before the next request."""
        self.status = self.retry_after_s = self.clock = None


def connect(settings: CcxtSource, answer: Answer) -> Any:
    """Make a ccxt client; nothing is sent yet.

    Parameters
    ----------
    settings
        The exchange, and another address for it.
    answer
        Receives status and Retry-After of every HTTP answer.

    Raises
    ------
    SourceError
        If ccxt does not know the exchange.
    """
    import ccxt

    if settings.exchange not in ccxt.exchanges:
        raise SourceError(
            "ccxt knows no such exchange",
            where=settings.exchange,
            remedy="use one of ccxt's ids, e.g. binanceusdm, okx",
        )
    client = getattr(ccxt, settings.exchange)(
        {"enableRateLimit": settings.rate_limit, **environment_keys(settings.exchange)}
    )
    client.timeout = round(settings.timeout_s * 1000)
    client.has["fetchCurrencies"] = False  # candles need none, and with keys set ccxt would sign a request for them
    client.options["fetchCurrencies"] = False  # Binance's own switch
    _skip_derivatives_without_history(client)
    if settings.base_url is not None:
        client.urls["api"] = _moved(client.urls["api"], settings.base_url.rstrip("/"))

    def watch(
        code: int, reason: str, url: str, method: str, headers: Mapping[str, str], body: str, *request: object
    ) -> str:
        answer.status = code
        answer.retry_after_s = retry_after(headers.get("Retry-After"))
        answer.clock = _http_date(headers.get("Date"))
        return body.strip()

    def parse(body: str) -> Any:
        try:
            return client.on_json_response(body)
        except ValueError:
            if 200 <= (answer.status or 0) < 300:  # ccxt would go on with the text, and find no rows in it
                raise ccxt.BadResponse(
                    f"{settings.exchange} answered {len(body)} characters that are no JSON: {body[:_QUOTED]}"
                ) from None
            return None

    client.on_rest_response, client.parse_json = watch, parse
    return client


def _skip_derivatives_without_history(client: Any) -> None:
    """Leave options and dated futures out of the list of markets: they take ccxt most of its requests."""
    listed = client.options.get("fetchMarkets")
    if isinstance(listed, dict) and "types" in listed:
        listed["types"] = [kind for kind in listed["types"] if kind not in ("option", "future")]


def environment_keys(exchange: str) -> dict[str, str]:
    """Credentials from ``TRADING_KEYS__<EXCHANGE>__API_KEY``, ``__SECRET``, ``__PASSWORD``, ``__UID``; often none."""
    prefix = f"{KEYS_PREFIX}{exchange.upper()}__"
    found = {ours: os.environ.get(prefix + name, "") for name, ours in _CREDENTIALS.items()}
    return {name: value for name, value in found.items() if value}


def is_transient(error: Exception, answer: Answer) -> bool:
    """Whether the same request may succeed later."""
    import ccxt

    if isinstance(error, ccxt.AuthenticationError):
        return False
    status = answer.status
    if status is not None and (status >= 500 or status in TRANSIENT_STATUS):
        return True  # whatever ccxt makes of the code in the answer, which it may not know
    if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection | ccxt.BadResponse):
        return True
    if isinstance(error, ccxt.InvalidNonce) or not isinstance(error, ccxt.OperationFailed):
        return False
    return (
        status is None or status < 400
    )  # ccxt files 400, 403, 404 and 451 under "not available": asking does not help


def without_secrets(text: str, client: Any) -> str:
    """A message on one line, shortened, with credentials replaced."""
    line = " ".join(text.split())
    for name in _CREDENTIALS.values():
        secret = getattr(client, name, None)
        if secret:
            line = line.replace(str(secret), "***")
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def _moved(urls: Any, base_url: str) -> Any:
    """Ccxt's addresses with scheme and host replaced, paths kept."""
    if isinstance(urls, dict):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    return base_url + urlsplit(urls).path if isinstance(urls, str) else urls


def retry_after(header: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds a number or a date (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    try:
        return float(header)
    except ValueError:
        date = _http_date(header)
        return None if date is None else max((date - datetime.now(UTC)).total_seconds(), 0.0)


def _http_date(header: str | None) -> datetime | None:
    """The time of a Date or Retry-After header (RFC 9110, section 5.6.7); None where it is none."""
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except ValueError:
        return None

"""Signed requests through ccxt: bounded in time, tried again a few times, and never showing a key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import structlog

from trading_assets.core.errors import TradingError
from trading_assets.core.secrets import MASK
from trading_assets.settings import CcxtSource
from trading_assets.sources.transport.backoff import LONGEST_S, Backoff
from trading_assets.sources.transport.ccxt_client import Answer, connect, is_transient
from trading_live.venues.account.contract import VenueError
from trading_live.venues.account.keys import Credentials

_LOG: Final = structlog.get_logger(__name__)
_SHOWN: Final = 300
_UNCLEAR: Final = ('"code":-1000', '"code":-1001', '"code":-1006', '"code":-1007')
"""Binance's words for a request that it does not know the end of, where ccxt takes them for a refusal."""

_OVERTAKEN: Final = "EAPI:Invalid nonce"
"""Kraken's words where a request with a later number came first, another client's: nothing was done, and the next may
pass."""

_TALKATIVE: Final = ("ccxt.base.exchange", "urllib3.connectionpool")
"""Libraries whose debug messages hold keys and signed addresses."""
ATTEMPTS: Final = 3
TIMEOUT_S: Final = 5.0


class Requests:
    """A ccxt client of one venue, used by one thread at a time.

    Parameters
    ----------
    exchange
        ccxt's id.
    keys
        Sign the requests.
    place
        Venue and environment, for errors.
    base_url
        Another address, as the local exchange's.
    sandbox
        ``test`` or ``demo`` for the venue's own rehearsal, as ccxt calls it; empty otherwise.
    paced
        Whether requests keep to ccxt's own pace: where the venue grants a burst, a pace would only hold up a kill.
    timeout_s
        Of one attempt.
    waits
        How often a request is made, and how long is waited between.
    tell
        (event, detail): told of each attempt that failed, where another follows.
    """

    def __init__(
        self,
        exchange: str,
        keys: Credentials,
        *,
        place: str,
        base_url: str | None = None,
        sandbox: str = "",
        paced: bool = False,
        timeout_s: float = TIMEOUT_S,
        waits: Backoff | None = None,
        tell: Callable[[str, str], None] | None = None,
    ) -> None:
        self.place = place
        self.retries = 0
        self._answer = Answer()
        self._keys = keys
        self._waits = waits or Backoff(ATTEMPTS, 0.25)
        self._tell = tell or _warn
        self._lock = threading.Lock()
        self._client = connect(CcxtSource(exchange=exchange, timeout_s=timeout_s, rate_limit=paced), self._answer)
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.INFO)
        if sandbox == "demo":
            self._client.enable_demo_trading(True)
        elif sandbox:
            self._client.set_sandbox_mode(True)
        if base_url is not None:
            self._client.urls["api"] = _moved_urls(exchange, base_url)
        self._client.apiKey, self._client.secret = keys.key, keys.secret
        self._client.password = keys.passphrase or None

    @property
    def client(self) -> Any:
        """Ccxt's, for its tables of names."""
        return self._client

    def call(
        self,
        endpoint: str,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
        *,
        again: bool = True,
        gone: Sequence[str] = (),
    ) -> Any:
        """Ask an endpoint by ccxt's name for it, and return the answer as it came.

        Parameters
        ----------
        endpoint
            E.g. ``fapiPrivateGetOpenOrders``.
        params
            Of the request.
        again
            Whether it may be sent again where no answer came: never for what is not the same when done twice.
        gone
            What an error says where the thing asked about is not there: then None is returned. JSON without blanks.

        Raises
        ------
        VenueError
            If the venue refuses it, or does not answer.
        """
        method, attempts = getattr(self._client, endpoint), self._waits.attempts
        for attempt in range(1, attempts + 1):
            self._answer.clear()
            try:
                with self._lock:
                    return method(dict(params) if isinstance(params, Mapping) else list(params) or {})
            except Exception as error:
                text = self._text(error)
                if any(one in str(error).replace('": ', '":') for one in gone):
                    return None
                failure = self._failure(endpoint, error, text)
                passing = _OVERTAKEN in str(error) or is_transient(error, self._answer)
                may_retry = passing and (again or failure.answered)
                if attempt == attempts or not may_retry or (wait := self._wait_s(attempt)) is None:
                    raise failure from None
                self.retries += 1
                self._tell("venue asked again", f"{failure.what}; attempt {attempt} of {attempts}")
                self._waits.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    def _wait_s(self, attempt: int) -> float | None:
        """Seconds before the next attempt; None where the venue asks for too long a pause."""
        asked = self._answer.retry_after_s
        return None if asked is not None and asked > LONGEST_S else self._waits.before(attempt + 1, at_least_s=asked)

    def _failure(self, endpoint: str, error: Exception, text: str) -> VenueError:
        """The error; an answer that leaves open what became of a request is none."""
        import ccxt

        refused = isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection | ccxt.InvalidNonce)
        unclear = isinstance(error, ccxt.OperationFailed | ccxt.BadResponse) or any(
            one in str(error).replace('": ', '":') for one in _UNCLEAR
        )
        answered = self._answer.status is not None and self._answer.status < 500 and (refused or not unclear)
        if isinstance(error, ccxt.AuthenticationError):
            remedy = "see that the keys in the environment are this account's, and may trade"
        elif _OVERTAKEN in str(error):
            remedy = "give the key to no other program, and a nonce window (docs/how-to/go-live.md)"
        elif isinstance(error, ccxt.InvalidNonce):
            remedy = "set this machine's clock (NTP)"
        elif not answered:
            remedy = "it may have been done all the same: it is asked about before anything else is done"
        else:
            remedy = "see the venue's message"
        if isinstance(error, TradingError):
            text = error.what
        what = f"{endpoint} was refused: {text}" if answered else f"{endpoint} was not answered: {text}"
        return VenueError(what, where=self.place, remedy=remedy, answered=answered)

    def _text(self, error: Exception) -> str:
        """What an error says, on one line, without keys and signatures."""
        line = " ".join(f"{type(error).__name__} {error}".split())
        for secret in self._keys.values:
            line = line.replace(secret, MASK)
        line = line.split("signature=")[0] + f"signature={MASK}" if "signature=" in line else line
        return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


@cache
def _moved_urls(exchange: str, base_url: str) -> Any:
    """Where ccxt sends requests for an exchange that is at another address."""
    return connect(CcxtSource(exchange=exchange, base_url=base_url), Answer()).urls["api"]


def _warn(event: str, detail: str) -> None:
    _LOG.warning(event, detail=detail)

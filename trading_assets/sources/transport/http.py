"""JSON over HTTP with patience: what may help is tried again after a growing wait, what will not is said at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3

from trading_assets.core.errors import SourceError
from trading_assets.sources.transport.backoff import LONGEST_ASKED_S, Backoff
from trading_assets.sources.transport.ccxt_client import TRANSIENT_STATUS, retry_after

TIMEOUT: Final = urllib3.Timeout(connect=10, read=30)
"""Seconds."""

_SHOWN: Final = 200
"""Characters of an answer that an error shows."""

_REMEDIES: Final = {
    401: "check the key in the environment",
    403: "the key's plan does not cover this: ask for newer or coarser data, or change the plan",
    404: "check the name",
}

_log = logging.getLogger(__name__)


class Refused(SourceError):
    """An HTTP answer that another try will not change; ``status`` says which."""

    def __init__(self, status: int, what: str, *, where: str, remedy: str) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.status = status


@dataclass(slots=True)
class PatientHttp:
    """An HTTP client for JSON; its ``request`` fits where a library takes a urllib3 pool.

    Network errors, 408, 418, 425, 429 (honouring Retry-After), 5xx and answers that are no JSON are tried again. A
    redirection is not followed: it could carry a key elsewhere.

    Parameters
    ----------
    waits
        How often to ask, and how long to wait in between.
    secrets
        What no message may show.

    Attributes
    ----------
    requests, retries
        How many requests were made, and how many of them because the one before had failed.
    """

    waits: Backoff
    secrets: tuple[str, ...] = field(default=(), repr=False)
    requests: int = 0
    retries: int = 0
    _pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, timeout=TIMEOUT), repr=False
    )

    def json(self, url: str, headers: Mapping[str, str]) -> Any:
        """The JSON at an address.

        Raises
        ------
        SourceError
            If the server refuses, or fails too often in a row.
        """
        return self.request("GET", url, headers=headers).json()

    def request(
        self, method: str, url: str, fields: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Make a request until it is answered with 2xx and JSON.

        Raises
        ------
        SourceError
            If the server refuses (``Refused``), asks for too long a pause, or fails too often in a row.
        """
        where = address(url)
        for attempt in range(1, self.waits.attempts + 1):
            self.requests += 1
            asked: float | None = None
            try:
                answer = self._pool.request(method, url, fields=dict(fields or {}), headers=dict(headers or {}))
            except urllib3.exceptions.HTTPError as error:
                reason = f"{type(error).__name__}: {error}".replace(url, where)
            else:
                if 200 <= answer.status < 300 and _is_json(answer.data):
                    return answer
                reason = _reason(answer)
                asked = retry_after(answer.headers.get("Retry-After"))
                if answer.status < 500 and answer.status >= 300 and answer.status not in TRANSIENT_STATUS:
                    remedy = _REMEDIES.get(answer.status, "check address and settings")
                    what = f"the server refuses with {self._shown(reason)}"
                    raise Refused(answer.status, what, where=self._shown(where), remedy=remedy)
            self._wait(attempt, asked, self._shown(reason), self._shown(where))
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, attempt: int, asked: float | None, reason: str, where: str) -> None:
        """Wait for the next attempt, or say why there is none."""
        if asked is not None and asked > LONGEST_ASKED_S:
            raise SourceError(f"the server asks for a pause of {asked:,.0f} s: {reason}", where=where)
        if attempt == self.waits.attempts:
            raise SourceError(
                f"gave up after {attempt} attempts: {reason}",
                where=where,
                remedy="run it again later: what was fetched is stored, only the rest is asked for",
            )
        seconds = self.waits.before(attempt + 1, at_least_s=asked)
        _log.warning("%s: attempt %d failed, the next follows in %.1f s: %s", where, attempt, seconds, reason)
        self.retries += 1
        self.waits.sleep(seconds)

    def _shown(self, text: str) -> str:
        """A text on one line, shortened, with secrets replaced."""
        line = " ".join(text.split())
        for secret in self.secrets:
            line = line.replace(secret, "***")
        return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def address(url: str) -> str:
    """An address as messages show it: without its query and without user and password, which may be secrets."""
    try:
        split = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"


def _reason(answer: urllib3.BaseHTTPResponse) -> str:
    """Status and message of an answer; APIs put the message into ``message``, ``error`` or ``status``."""
    body = answer.data.decode("utf-8", errors="replace")
    if 300 <= answer.status < 400:
        return f"{answer.status}, a redirection to {answer.headers.get('Location')}"
    if not _is_json(answer.data):
        return f"{answer.status} and no JSON: {body}"
    said = json.loads(body)
    named = [said[name] for name in ("message", "error", "status") if said.get(name)] if isinstance(said, dict) else []
    return f"{answer.status}: {named[0] if named else body}"


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True

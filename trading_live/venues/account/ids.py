"""Client order ids as an adapter writes them on the wire, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BEGIN: Final = datetime(2020, 1, 1, tzinfo=UTC)
_DATED: Final = re.compile(r"O-(\d{8})-(\d{6})-(\d+)-(\d+)-(\d+)")
_UNDATED: Final = re.compile(r"O(\d{14})(\d{3})(\d{3})(\d+)")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)
_LONGEST: Final = 36
_TAG_BITS, _COUNT_BITS = 10, 20
_DATED_DIGITS, _UUID_DIGITS = 13, 22


class ClientIds(Protocol):
    """Both ways."""

    def wire(self, client_id: str) -> str:
        """As it is sent."""
        ...

    def known(self, wire: str) -> str:
        """As the node knows what was sent so."""
        ...


class PlainIds:
    """Ids that are sent as they are."""

    def wire(self, client_id: str) -> str:
        """The same."""
        return client_id

    def known(self, wire: str) -> str:
        """The same."""
        return wire


@dataclass(frozen=True, slots=True)
class BrokerIds:
    """Binance's: the engine's adapter puts ``x-BROKER-`` and a letter before an id, and packs what is too long.

    ``T`` and ``t`` hold the engine's own ids (``O-20250102-030405-001-000-1``, with and without hyphens) in 72 bits,
    ``U`` and ``u`` a UUID in 128, ``R`` any other id of up to 24 characters as it is. A longer one is sent bare.
    """

    broker: str

    def wire(self, client_id: str) -> str:
        """With what goes before it."""
        prefix = f"x-{self.broker}-"
        if (packed := _packed(client_id)) is not None:
            return prefix + packed
        bare = len(prefix) + 1 + len(client_id) > _LONGEST
        return client_id if bare else f"{prefix}R{client_id}"

    def known(self, wire: str) -> str:
        """Without it; an id that another sender made is left as it is."""
        prefix = f"x-{self.broker}-"
        if not wire.startswith(prefix) or len(wire) == len(prefix):
            return wire
        kind, text = wire[len(prefix)], wire[len(prefix) + 1 :]
        if kind == "R":
            return text
        if kind not in "TtUu" or any(one not in _BASE62 for one in text):
            return wire
        return _undated(_number(text), hyphens=kind == "T") if kind in "Tt" else _uuid(_number(text), kind == "U")


@dataclass(frozen=True, slots=True)
class ShortIds:
    """Kraken's: at most 18 characters unless it is a UUID; the adapter keeps the last 17 of a longer one."""

    longest: int = 18

    def wire(self, client_id: str) -> str:
        """Shortened where it is too long."""
        fits = len(client_id) <= self.longest or _UUID.fullmatch(client_id)
        return client_id if fits else "O" + client_id[-(self.longest - 1) :]

    def known(self, wire: str) -> str:
        """What is left of it: ids that fit come back whole."""
        return wire


def _packed(client_id: str) -> str | None:
    hyphens = client_id.startswith("O-")
    found = (_DATED if hyphens else _UNDATED).fullmatch(client_id)
    if found is not None:
        stamp, *numbers = [found[1] + found[2], *found.groups()[2:]] if hyphens else found.groups()
        try:
            since = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC) - _BEGIN
        except ValueError:
            return None
        trader, strategy, count = map(int, numbers)
        if since < timedelta(0) or max(trader, strategy) >> _TAG_BITS or count >> _COUNT_BITS:
            return None
        value = int(since.total_seconds()) << 2 * _TAG_BITS + _COUNT_BITS
        value |= trader << _TAG_BITS + _COUNT_BITS | strategy << _COUNT_BITS | count
        return ("T" if hyphens else "t") + _digits(value, _DATED_DIGITS)
    if _UUID.fullmatch(client_id):
        return ("U" if "-" in client_id else "u") + _digits(int(client_id.replace("-", ""), 16), _UUID_DIGITS)
    return None


def _undated(value: int, *, hyphens: bool) -> str:
    tag = (1 << _TAG_BITS) - 1
    count, rest = value & (1 << _COUNT_BITS) - 1, value >> _COUNT_BITS
    strategy, trader, seconds = rest & tag, rest >> _TAG_BITS & tag, rest >> 2 * _TAG_BITS
    at = _BEGIN + timedelta(seconds=seconds)
    if hyphens:
        return f"O-{at:%Y%m%d-%H%M%S}-{trader:03}-{strategy:03}-{count}"
    return f"O{at:%Y%m%d%H%M%S}{trader:03}{strategy:03}{count}"


def _uuid(value: int, hyphens: bool) -> str:
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" if hyphens else text


def _digits(value: int, length: int) -> str:
    found = ""
    for _ in range(length):
        value, digit = divmod(value, 62)
        found = _BASE62[digit] + found
    return found


def _number(text: str) -> int:
    value = 0
    for one in text:
        value = value * 62 + _BASE62.index(one)
    return value

"""Margin mode and leverage at a start, where one says something of the other: Kraken Futures and OKX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.live.venues.account.documented import account_at, documented
from tests.live.venues.account.stories import STORIES
from trading_assets.core.errors import NodeError
from trading_assets.settings import NodeSettings
from trading_live.execution.start_checks import check_modes

PREFERENCES = "/derivatives/api/v3/leveragepreferences"
KRAKEN = next(story for story in STORIES.values() if f"GET {PREFERENCES}" in story[3])
OKX = next(story for story in STORIES.values() if story[0] == "okx" and story[1] == "perpetual")


class Start:
    """A start's look at the modes, what it told, and what it sent to the venue."""

    def __init__(self, venue: Any, account: Any, market: str) -> None:
        self._venue, self._account, self._market = venue, account, market
        self.told: list[str] = []

    def check(self, **settings: Any) -> None:
        node = NodeSettings(**settings)
        check_modes(self._account, [self._market], node, lambda _, detail: self.told.append(detail.split(": ")[-1]))

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [one.params for one in self._venue.asked if one.method != "GET"]


@contextmanager
def kraken(preference: float | None) -> Iterator[Start]:
    name, product, market, answers = KRAKEN
    kept = {"PF_XBTUSD": preference} if preference else {}

    def read(_: Any) -> Any:
        rows = [{"symbol": symbol, "maxLeverage": leverage} for symbol, leverage in kept.items()]
        return {"result": "success", "leveragePreferences": rows}

    def write(params: dict[str, Any]) -> Any:
        kept.pop(params["symbol"], None)
        if "maxLeverage" in params:
            kept[params["symbol"]] = float(params["maxLeverage"])
        return {"result": "success"}

    with documented({**answers, f"GET {PREFERENCES}": read, f"PUT {PREFERENCES}": write}) as venue:
        yield Start(venue, account_at(venue, name, product, market), market)


@contextmanager
def okx(held: str = "", **leverage: str) -> Iterator[Start]:
    name, product, market, answers = OKX

    def read(params: dict[str, Any]) -> Any:
        return {"code": "0", "data": [{"lever": leverage[params["mgnMode"]], "mgnMode": params["mgnMode"]}]}

    def write(params: dict[str, Any]) -> Any:
        leverage[params["mgnMode"]] = params["lever"]
        return {"code": "0", "data": [params]}

    positions = {"code": "0", "data": [{"mgnMode": held, "pos": "1"}] if held else []}
    changed = {
        "GET /api/v5/account/positions": positions,
        "GET /api/v5/account/leverage-info": read,
        "POST /api/v5/account/set-leverage": write,
    }
    with documented({**answers, **changed}) as venue:
        yield Start(venue, account_at(venue, name, product, market), market)


@pytest.mark.parametrize("preference", [None, 5, 20])
def test_a_leverage_with_cross_margin_is_refused_at_kraken_before_anything_is_sent(preference: float | None) -> None:
    with kraken(preference) as start:
        with pytest.raises(NodeError, match=r"not leverage 5|not cross margin") as refused:
            start.check(margin_mode="cross", leverage=5)
        assert "a leverage of a market means isolated margin there" in str(refused.value)
        assert (start.sent, start.told) == ([], [])


def test_isolated_margin_and_its_leverage_are_set_together_at_kraken() -> None:
    with kraken(None) as start:
        start.check(margin_mode="isolated", leverage=5)
        assert start.sent == [{"symbol": "PF_XBTUSD", "maxLeverage": "5"}]
        assert start.told == ["cross margin -> isolated margin", "no leverage of its own -> leverage 5"]
    with kraken(20) as start:
        start.check(margin_mode="isolated", leverage=5)
        assert start.told == ["leverage 20 -> leverage 5"]


def test_isolated_margin_without_a_leverage_is_refused_at_kraken() -> None:
    with kraken(None) as start:
        with pytest.raises(NodeError, match=r"has cross margin, not isolated margin.*needs a leverage"):
            start.check(margin_mode="isolated")
        assert (start.sent, start.told) == ([], [])


def test_cross_margin_takes_a_markets_own_leverage_away_at_kraken() -> None:
    with kraken(20) as start:
        start.check(margin_mode="cross")
        assert start.sent == [{"symbol": "PF_XBTUSD"}]
        assert start.told == ["isolated margin -> cross margin"]


def test_the_leverage_of_the_margin_mode_that_orders_go_with_is_set_at_okx() -> None:
    with okx(cross="5", isolated="20") as start:
        start.check(margin_mode="isolated", leverage=5)
        assert start.sent == [{"instId": "BTC-USDT-SWAP", "lever": "5", "mgnMode": "isolated"}]
        assert start.told == ["leverage 20 -> leverage 5"]
    with okx(cross="20", isolated="5") as start:
        start.check(margin_mode="cross", leverage=5)
        assert start.sent == [{"instId": "BTC-USDT-SWAP", "lever": "5", "mgnMode": "cross"}]


def test_a_margin_mode_that_comes_with_each_order_is_not_told_as_a_change_at_okx() -> None:
    with okx(cross="5", isolated="20") as start:
        start.check(margin_mode="isolated")
        assert (start.sent, start.told) == ([], [])


def test_a_position_of_the_other_margin_mode_is_refused_at_okx_before_anything_is_sent() -> None:
    with okx(held="cross", cross="5", isolated="20") as start:
        with pytest.raises(NodeError, match=r"has cross margin, not isolated margin.*close what is open"):
            start.check(margin_mode="isolated", leverage=3)
        assert (start.sent, start.told) == ([], [])

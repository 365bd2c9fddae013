"""Client order ids go to the venue and come back as the node knows them."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_live.venues.account.ids import BrokerIds, PlainIds, ShortIds

FUTURES = BrokerIds("aHRE4BCj")
ALPHABET = string.ascii_lowercase + string.digits


def dated(at, trader, strategy, count, hyphens):
    if hyphens:
        return f"O-{at:%Y%m%d-%H%M%S}-{trader:03}-{strategy:03}-{count}"
    return f"O{at:%Y%m%d%H%M%S}{trader:03}{strategy:03}{count}"


CLIENT_IDS = st.one_of(
    st.text(ALPHABET, min_size=1, max_size=18),
    st.text(ALPHABET + "-", min_size=19, max_size=24).filter(lambda one: not one.startswith("O")),
    st.uuids().map(str),
    st.uuids().map(lambda one: one.hex),
    st.builds(
        dated,
        st.integers(0, 2_500_000_000).map(lambda one: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=one)),
        st.integers(0, 999),
        st.integers(0, 999),
        st.integers(0, 2**20 - 1),
        st.booleans(),
    ),
)


@given(CLIENT_IDS)
def test_an_id_comes_back_from_binance_as_it_was_sent(client_id):
    wire = FUTURES.wire(client_id)
    assert wire.startswith("x-aHRE4BCj-")
    assert len(wire) <= 36
    assert FUTURES.known(wire) == client_id


@given(st.text(string.ascii_letters + string.digits + "-_:/.", max_size=36))
def test_whatever_another_sender_calls_its_orders_is_read(wire):
    assert isinstance(FUTURES.known(wire), str)
    if not wire.startswith("x-aHRE4BCj-"):
        assert FUTURES.known(wire) == wire


def test_the_engines_own_id_is_packed_as_its_adapter_does():
    # bits: seconds since 2020 (0), trader 0, strategy 0, count 0
    assert FUTURES.wire("O-20200101-000000-000-000-0") == "x-aHRE4BCj-T0000000000000"


def test_an_id_too_long_for_the_prefix_goes_bare():
    assert FUTURES.wire("a" * 25) == "a" * 25
    assert FUTURES.wire("a" * 24) == "x-aHRE4BCj-R" + "a" * 24


@pytest.mark.parametrize(
    ("client_id", "wire"),
    [("tmain12345678e000", "tmain12345678e000"), ("O-20260505-120000-001-001-1", "O-120000-001-001-1"[-18:])],
)
def test_kraken_takes_eighteen_signs(client_id, wire):
    assert len(ShortIds().wire(client_id)) <= 18
    assert ShortIds().wire(client_id)[-17:] == wire[-17:]


@given(st.text(ALPHABET, min_size=18, max_size=18))
def test_our_own_ids_fit_every_venue_as_they_are(client_id):
    for ids in (PlainIds(), ShortIds(), FUTURES):
        assert ids.known(ids.wire(client_id)) == client_id

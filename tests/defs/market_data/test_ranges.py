"""Months and days that a user asks for, what a run fetches of them, and exchanges side by side."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.defs.small import SYNA, Location, Undisturbed, assert_same_tables, copy_of
from trading_assets.core.errors import SettingsError
from trading_assets.settings import PROJECT_ROOT, History, load_settings
from trading_assets.settings.days import months_of_history
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, FEATURES


def test_months_and_days_become_the_months_of_a_run_and_the_days_that_it_fetches(location: Location) -> None:
    ranges, fetching = location.module("market_data.ranges"), location.module("market_data.fetching")
    history = location.settings(Path("unused")).history

    def tags(start: str | None, end: str | None, follow: int = 0) -> dict[str, str]:
        days = ranges.DayRange.read(history, start, end).followed_by(follow)
        found: dict[str, str] = days.tags(SYNA, fetching.Fetch.REST)
        return {name.rsplit("_", 2)[-1] if "/" in name else name: text for name, text in found.items()}

    assert tags("2025-02", "2025-02") == {
        "start": f"{SYNA}|2025-02",
        "end": f"{SYNA}|2025-02",
        "market": SYNA,
    }
    assert tags("2025-02-05", "2025-02-05") == {
        "start": f"{SYNA}|2025-02",
        "end": f"{SYNA}|2025-02",
        "market": SYNA,
        "first_day": "2025-02-05",
        "last_day": "2025-02-05",
    }
    assert tags("2025-01", "2025-02", follow=1)["end"] == f"{SYNA}|2025-03"
    assert tags("2025-01", "2025-02", follow=1)["last_day"] == "2025-02-28", "nothing is fetched for what looks back"
    assert tags(None, None, follow=5)["end"] == f"{SYNA}|2025-03", "as far as the history goes"


def test_the_partitions_and_ranges_of_two_projects_stand_side_by_side(location: Location, tmp_path: Path) -> None:
    partitions, ranges = location.module("lib.partitions"), location.module("market_data.ranges")
    ours = location.settings(tmp_path)
    other = load_settings(PROJECT_ROOT / "docs" / "recipes" / "binance_spot.yaml")
    keys = [partitions.keys_of_run({}, partitions.Partitions.of(one).market_months) for one in (ours, other, ours)]
    assert keys[0] == keys[2]
    assert {key.rsplit("|", 1)[0] for key in keys[0]} == set(ours.markets)
    assert {key.rsplit("|", 1)[0] for key in keys[1]} == set(other.markets)
    for one in (ours, other):
        days = ranges.DayRange.read(one.history, None, None)
        assert [month for month, *_ in days.months()] == months_of_history(one.history)


@pytest.mark.parametrize("start", [date(2024, 2, 29), date(2025, 1, 1), date(2025, 1, 31)])
@pytest.mark.parametrize("end", [None, date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 2), date(2100, 1, 1)])
def test_the_months_of_the_history_are_its_partitions(location: Location, start: date, end: date | None) -> None:
    history = History(start=start, end=end)
    partitions = location.module("lib.partitions")._months(history)
    assert months_of_history(history) == list(partitions.get_partition_keys())


def test_a_run_of_some_days_fetches_and_judges_just_these(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    (result,) = location.launch.materialize_markets(settings, [SYNA], "2025-02-10", "2025-02-12")
    store = open_store(settings.store_url)
    first, last = store.bounds(CANDLES)  # type: ignore[misc]
    assert datetime(2025, 2, 10, tzinfo=UTC) <= first < last < datetime(2025, 2, 13, tzinfo=UTC)
    assert [check.name for check in result.failed_checks] in ([], ["label_balance"]), "three days are no gap"


def test_a_month_repaired_brings_what_looks_back_on_it_up_to_date(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path)
    store = open_store(settings.store_url)
    start, end = datetime(2025, 2, 20, tzinfo=UTC), datetime(2025, 2, 21, tzinfo=UTC)
    where = {"market": SYNA}
    store.replace(CANDLES, store.read(CANDLES)[:0], where=where, start=start, end=end)
    assert location.run(settings, "market_data", tags=location.months(SYNA, "2025-02", "2025-03")).success is False
    lenient = copy_of(undisturbed, location, tmp_path, quality={"gap_share": {"max_share": 1.0}})
    store.replace(CANDLES, store.read(CANDLES)[:0], where=where, start=start, end=end)
    tags = location.months(SYNA, "2025-02", "2025-03") | {"fetch": "rest", "last_day": "2025-02-28"}
    assert location.run(lenient, "market_data", tags=tags).success
    stale = store.read(FEATURES, where=where, start=datetime(2025, 3, 1, tzinfo=UTC))
    right = undisturbed.store.read(FEATURES, where=where, start=datetime(2025, 3, 1, tzinfo=UTC))
    assert not stale.equals(right)

    (result,) = location.launch.repair_gaps(settings, [SYNA])
    assert result.success
    assert (
        result.materialized["candles"]["fetched"]
        == undisturbed.store.read(CANDLES, where=where, start=start, end=end).height
    )
    assert_same_tables(store, undisturbed.store, SYNA)
    assert list(location.launch.repair_gaps(settings, [SYNA])) == [], "the rest is settled"


def test_a_wrong_tag_is_named(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    for tag, said in (({"fetch": "some"}, "tag fetch: 'some'; write one of rest"), ({"first_day": "May"}, "'May'")):
        tags = location.months(SYNA, "2025-02", "2025-02") | tag
        result = location.run(settings, "market_data", tags=tags)
        (failure,) = [event for event in result.all_events if event.is_step_failure][:1]
        assert said in location.module("lib.failures").failure_reason(failure)


def test_exchanges_are_asked_side_by_side_and_markets_of_one_after_the_other(location: Location) -> None:
    from trading_assets.launch.side_by_side import side_by_side

    both = threading.Barrier(2, timeout=120)
    busy: set[str] = set()

    def work(name: str) -> str:
        exchange = name[0]
        assert exchange not in busy, "one exchange, one request at a time"
        busy.add(exchange)
        if name in ("a1", "b1"):
            both.wait()  # each needs the other to be under way
        busy.discard(exchange)
        return name

    names = ["a1", "a2", "b1", "b2", "a3"]
    works: dict[str, Any] = {name: lambda name=name: work(name) for name in names}
    assert sorted(side_by_side(works, group=lambda name: name[0])) == sorted(names)

    def broken() -> str:
        raise SettingsError("no")

    with pytest.raises(SettingsError, match="no"):
        list(side_by_side({"a1": broken, "b1": lambda: "b1"}, group=lambda name: name[0]))


def test_an_interrupt_asks_the_works_of_all_exchanges_to_stop_and_waits_for_them(location: Location) -> None:
    from trading_assets.launch.side_by_side import side_by_side

    asked, ended = threading.Event(), []

    def patient(name: str) -> str:
        assert asked.wait(120)
        ended.append(name)
        return name

    works: dict[str, Any] = {name: lambda name=name: patient(name) for name in ("a1", "a2", "b1")} | {
        "c1": lambda: "c1"
    }
    results = side_by_side(works, group=lambda name: name[0], stop=asked.set)
    assert next(results) == "c1"
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)
    assert sorted(ended) == ["a1", "b1"], "a2 was not begun"


def test_the_assets_that_the_schedule_refreshes_say_until_when_they_are_fresh(location: Location) -> None:
    freshness, policy = location.module("lib.freshness"), None
    settings = location.settings(Path("unused"))
    assert freshness.freshness_policy(settings) is None, "a history that has ended grows no older"
    open_ended = settings.model_copy(update={"history": settings.history.model_copy(update={"end": None})})
    policy = freshness.freshness_policy(open_ended)
    assert policy == dg.FreshnessPolicy.time_window(
        fail_window=freshness.timedelta(hours=6), warn_window=freshness.timedelta(hours=2)
    )

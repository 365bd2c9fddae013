"""Who changed a version's status, when and why: kept for every change, and in the store's table."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.test_registry import Desk, data, desk, trained
from trading_assets.core.errors import ModelError
from trading_assets.registry import Cause, Registry
from trading_assets.registry.events import events_of, next_event, this_user
from trading_assets.store import Store
from trading_assets.store.tables import MODEL_EVENTS, MODEL_VERSIONS

__all__ = ["data", "desk", "trained"]  # fixtures

RUN = Cause("dagster run 4f", "all gates passed", {"sharpe": 1.5})


def told(desk: Desk, version: int = 1) -> list[tuple[str, str, str, str]]:
    return [(e.old, e.new, e.cause.by, e.cause.reason) for e in desk.registry.get("a", version).events]


def test_every_change_of_status_says_who_when_and_why(desk: Desk) -> None:
    before = datetime.now(UTC)
    desk.register()
    desk.registry.set_status("a", 1, "approved", RUN)
    desk.registry.promote("a", 1, Cause("me@home", "no champion"))
    desk.registry.set_status("a", 1, "archived")
    desk.registry.reject("a", 1, Cause(reason="a broken feed"))
    assert told(desk) == [
        ("", "draft", this_user(), ""),
        ("draft", "approved", "dagster run 4f", "all gates passed"),
        ("approved", "active", "me@home", "no champion"),
        ("active", "archived", this_user(), ""),
        ("archived", "rejected", this_user(), "a broken feed"),
    ]
    events = desk.registry.get("a", 1).events
    assert [event.number for event in events] == [1, 2, 3, 4, 5]
    assert [before, *(event.ts for event in events)] == sorted([before, *(event.ts for event in events)])
    assert events[1].cause.evidence == {"sharpe": 1.5}


def test_a_refused_change_and_one_that_changes_nothing_leave_no_event(desk: Desk) -> None:
    desk.register()
    with pytest.raises(ModelError):
        desk.registry.promote("a", 1)
    desk.registry.set_status("a", 1, "approved")
    desk.registry.set_status("a", 1, "approved", RUN)
    assert [new for _, new, *_ in told(desk)] == ["draft", "approved"]


def test_who_is_replaced_is_told_by_what(desk: Desk) -> None:
    for version, auc in enumerate((0.6, 0.7), 1):
        desk.registry.set_status("a", desk.register(auc), "approved")
        desk.registry.promote("a", version, Cause("me@home", "it is better"))
    assert told(desk)[-1] == ("active", "archived", "me@home", "version 2 is active in its place: it is better")


def test_a_change_that_was_killed_before_the_status_followed_is_no_second_event(desk: Desk) -> None:
    desk.register()
    desk.registry.set_status("a", 1, "approved")
    key, value = next_event(
        desk.registry.get("a", 1).events, datetime.now(UTC), "approved", "active", Cause("a@b")
    ).tag()
    desk.registry._tracking.client.set_model_version_tag("a", "1", key, value)  # killed here
    assert desk.registry.get("a", 1).status == "approved"
    desk.registry.promote("a", 1, Cause("c@d"))
    assert told(desk)[-2:] == [("draft", "approved", this_user(), ""), ("approved", "active", "c@d", "")]


def test_the_store_has_them_all_and_a_second_writing_adds_none(desk: Desk, store: Store) -> None:
    Registry(desk.settings).write_to(store)  # nothing yet
    desk.register()
    desk.registry.set_status("a", 1, "approved", RUN)
    for _ in range(2):
        desk.registry.write_to(store)
    rows = store.read(MODEL_EVENTS)
    assert rows.select("model", "version", "event", "old_status", "new_status", "changed_by", "reason").rows() == [
        ("a", 1, 1, "", "draft", this_user(), ""),
        ("a", 1, 2, "draft", "approved", "dagster run 4f", "all gates passed"),
    ]
    assert [json.loads(text) for text in rows["evidence"]] == [{}, {"sharpe": 1.5}]
    assert store.read(MODEL_VERSIONS)["status"].to_list() == ["approved"]
    found = store.query("SELECT changed_by FROM model_events WHERE new_status = 'approved'")
    assert found.equals(pl.DataFrame({"changed_by": ["dagster run 4f"]}))


@given(st.text(), st.text(), st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text() | st.integers()))
def test_an_event_is_read_as_it_was_written(by: str, reason: str, evidence: dict[str, object]) -> None:
    event = next_event((), datetime(2025, 3, 1, tzinfo=UTC), "draft", "approved", Cause(by, reason, evidence))
    assert events_of(dict([event.tag(), ("bundle_hash", "ab")])) == (event,)


def activate(desk: Desk, *versions: int) -> None:
    for version in versions:
        while len(desk.registry.list("a")) < version:
            desk.registry.set_status("a", desk.register(0.5 + len(desk.registry.list("a")) / 50), "approved")
        desk.registry.promote("a", version)


@pytest.mark.parametrize(
    ("promoted", "before"),
    [
        ((1, 2, 3), 2),
        ((1, 2, 3, 2), 1),  # back from 3: going back again does not go forward
        ((1, 2, 3, 2, 3), 2),
        ((1, 2, 3, 1, 4), 1),
    ],
)
def test_a_rollback_goes_back_and_not_to_what_one_came_back_from(
    desk: Desk, promoted: tuple[int, ...], before: int
) -> None:
    activate(desk, *promoted)
    assert desk.registry.before("a").version == before


def test_a_challenger_that_was_archived_is_nothing_to_go_back_to(desk: Desk) -> None:
    activate(desk, 1)
    desk.registry.set_status("a", desk.register(0.9), "approved")
    for status in ("challenger", "archived"):
        desk.registry.set_status("a", 2, status)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="no earlier version to go back to"):
        desk.registry.before("a")


def test_versions_from_before_events_were_kept_are_gone_back_to(desk: Desk) -> None:
    activate(desk, 1, 2)
    client = desk.registry._tracking.client
    for version in ("1", "2"):
        for number in (1, 2, 3, 4):
            if f"event_{number:04d}" in client.get_model_version("a", version).tags:
                client.delete_model_version_tag("a", version, f"event_{number:04d}")
    assert desk.registry.before("a").version == 1
    activate(desk, 3)
    assert desk.registry.before("a").version == 2

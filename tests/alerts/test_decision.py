"""Who is told of what, and when: nothing critical is ever lost, and nobody is told the same twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.alerts import Alert, AlertState, Delivery, Level, acknowledge, decide, settle
from trading_assets.settings import AlertSettings

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def settings(**changes: Any) -> AlertSettings:
    """Two channels, ``chat`` and ``phone``."""
    channels = {
        "chat": {"url_variable": "CHAT_ALERT_URL"},
        "phone": {"url_variable": "PHONE_ALERT_URL", "min_level": "critical"},
    }
    return AlertSettings.model_validate({"channels": channels} | changes)


def one_channel(**changes: Any) -> AlertSettings:
    """``chat`` alone, which is told everything."""
    return settings(channels={"chat": {"url_variable": "CHAT_ALERT_URL", "min_level": "info"} | changes})


def critical(key: str = "node/died", **changes: Any) -> Alert:
    return Alert(Level.CRITICAL, f"{key} happened", key=key, **changes)


def warning(key: str = "node/model") -> Alert:
    return Alert(Level.WARNING, f"{key} happened", key=key)


@dataclass
class World:
    """A process with the channels at its end; what they took."""

    settings: AlertSettings
    now: datetime = NOON
    state: AlertState = field(default_factory=AlertState)
    down: set[str] = field(default_factory=set)
    took: list[tuple[datetime, Delivery]] = field(default_factory=list)

    def tell(self, alert: Alert | None = None) -> list[Delivery]:
        """Decide and send until nothing is due; what was taken."""
        before = len(self.took)
        ready, self.state = decide(alert, self.state, self.settings, self.now)
        while ready:
            for one in ready:
                failure = "down" if one.channel in self.down else None
                if failure is None:
                    self.took.append((self.now, one))
                self.state = settle(one, failure, self.state, self.settings, self.now)
            ready, self.state = decide(None, self.state, self.settings, self.now)
        return [one for _, one in self.took[before:]]

    def wait(self, span: timedelta, *, step: timedelta = MINUTE) -> list[Delivery]:
        """Let time go by; what was taken meanwhile."""
        before, end = len(self.took), self.now + span
        while self.now < end:
            self.now = min(self.now + step, end)
            self.tell()
        return [one for _, one in self.took[before:]]

    def restart(self) -> None:
        """Another process goes on, from the file."""
        self.state = AlertState.model_validate_json(self.state.model_dump_json())


def said(deliveries: list[Delivery]) -> list[tuple[str, str]]:
    return [(one.channel, one.kind) for one in deliveries]


def test_levels_and_patterns_say_who_is_told() -> None:
    world = World(settings())
    assert said(world.tell(critical())) == [("chat", "alert"), ("phone", "alert")]
    assert said(world.tell(warning())) == [("chat", "alert")]
    assert said(world.tell(Alert(Level.INFO, "started", key="node/started"))) == []
    some = World(one_channel(keys=["node/*", "!node/model-*"]))
    assert said(some.tell(warning("node/model-refused"))) == []
    assert said(some.tell(warning("drift/btc"))) == []
    assert said(some.tell(critical("drift/btc"))) == [("chat", "alert")], "critical, and nobody else would be told"


def test_the_settings_level_counts_and_off_is_off() -> None:
    world = World(settings(levels={"node/model": "critical", "node/*": "off"}))
    assert said(world.tell(warning())) == [("chat", "alert"), ("phone", "alert")]
    assert said(world.tell(critical())) == []


def test_the_same_again_is_told_after_an_hour_with_its_count() -> None:
    world = World(settings())
    world.tell(warning())
    for _ in range(5):
        world.now += 10 * MINUTE
        assert world.tell(warning()) == []
    world.now += 10 * MINUTE
    (again,) = world.tell(warning())
    assert "5 times since it was told last" in again.body
    assert said(world.tell(critical("node/model"))) == [("chat", "alert"), ("phone", "alert")], "it got worse"


def test_the_end_is_told_once_where_the_begin_was_and_what_follows_is_new() -> None:
    world = World(settings())
    over = Alert(Level.INFO, "the feed is heard again", key="node/feed", over=True)
    assert world.tell(over) == [], "nothing had begun"
    world.tell(warning("node/feed"))
    world.now += 7 * MINUTE
    (told,) = world.tell(over)
    assert (told.channel, told.kind) == ("chat", "over")
    assert "after 7 min" in told.body
    assert world.tell(over) == []
    assert said(world.tell(warning("node/feed"))) == [("chat", "alert")]


def test_quiet_hours_let_critical_pass_and_tell_the_rest_in_the_morning() -> None:
    quiet = {"begin": "22:00", "end": "07:00", "time_zone": "Europe/Berlin"}
    world = World(one_channel(quiet=quiet), now=datetime(2026, 3, 2, 21, 30, tzinfo=UTC))  # 22:30 in Berlin
    assert world.tell(warning("a")) == []
    assert world.tell(warning("b")) == []
    assert said(world.tell(critical())) == [("chat", "alert")]
    (summary,) = world.wait(timedelta(hours=9))
    assert summary.kind == "summary"
    assert summary.title == "2 messages held back since 2026-03-02 21:30:00 UTC"
    assert "a happened" in summary.body
    assert "b happened" in summary.body
    assert world.took[-1][0] == datetime(2026, 3, 3, 6, tzinfo=UTC), "07:00 in Berlin"


def test_what_is_above_the_limit_comes_in_one_message_and_critical_later_by_itself() -> None:
    world = World(one_channel(max_messages=3, per_minutes=10))
    for number in range(6):
        world.tell(warning(f"w{number}"))
    world.tell(critical("c0"))
    world.tell(critical("c1"))
    assert [one.key for _, one in world.took] == ["w0", "w1", "w2"]
    later = world.wait(11 * MINUTE)
    assert [one.kind for one in later] == ["alert", "alert", "summary"]
    assert [one.key for one in later[:2]] == ["c0", "c1"]
    assert later[2].title.startswith("3 messages held back")


def test_what_nobody_acknowledges_goes_to_another_channel_until_somebody_does() -> None:
    channels = {
        "chat": {"url_variable": "CHAT_ALERT_URL"},
        "phone": {"url_variable": "PHONE_ALERT_URL", "keys": ["nothing"]},
    }
    world = World(
        settings(
            channels=channels,
            escalation={"to": "phone", "after_minutes": 15, "every_minutes": 10},
            repeat_minutes=1_000,
        )
    )
    assert said(world.tell(critical())) == [("chat", "alert")]
    world.tell(warning())
    assert world.wait(14 * MINUTE) == []
    told = world.wait(25 * MINUTE)
    assert said(told) == [("phone", "escalation")] * 3
    assert told[0].title == "NOT ACKNOWLEDGED for 15 min: node/died happened"
    world.state = acknowledge(world.state, ["node/died"], world.now)
    world.restart()
    assert world.wait(timedelta(hours=10)) == []
    assert said(world.tell(critical())) == [], "acknowledged a while ago"


def test_an_end_stops_escalation_too() -> None:
    world = World(settings(escalation={"to": "phone"}))
    world.tell(critical())
    world.tell(Alert(Level.INFO, "fine", key="node/died", over=True))
    assert world.wait(timedelta(hours=2)) == []


def test_a_channel_that_fails_is_told_by_the_others_and_gets_its_message_later() -> None:
    world = World(settings(), down={"phone"})
    told = world.tell(critical())
    assert said(told) == [("chat", "alert"), ("chat", "alert")]
    assert told[1].title == "CRITICAL: alert channel phone cannot be reached: down"
    world.wait(timedelta(hours=3))
    world.down = set()
    late = world.wait(10 * MINUTE)
    assert ("phone", "alert") in said(late)
    assert ("chat", "over") in said(late), "the channel is reached again"


def test_what_a_failing_channel_alone_would_be_told_is_handed_to_another() -> None:
    channels = {
        "chat": {"url_variable": "CHAT_ALERT_URL", "keys": ["drift/*"]},
        "phone": {"url_variable": "PHONE_ALERT_URL", "keys": ["node/*"]},
    }
    world = World(settings(channels=channels), down={"phone"})
    told = world.tell(critical())
    assert ("chat", "handover") in said(told)
    assert any("for channel phone, which cannot be reached" in one.body for one in told)


def test_a_message_that_is_not_critical_is_given_up_and_counted() -> None:
    world = World(one_channel(), down={"chat"})
    world.tell(warning())
    world.wait(timedelta(minutes=30))
    assert not [one for one in world.state.outbox if one.kind == "alert"]
    world.down = set()
    assert "summary" in [one.kind for one in world.wait(30 * MINUTE)]


def test_a_channel_that_the_settings_lost_leaves_what_is_critical_to_the_rest() -> None:
    world = World(one_channel(), down={"chat"})
    world.tell(critical())
    world.settings = settings(channels={"mail": {"url_variable": "MAIL_ALERT_URL"}})
    assert ("mail", "alert") in said(world.wait(MINUTE))


def test_a_message_that_is_being_sent_is_not_sent_by_another_process_until_its_lease_ends() -> None:
    rules = one_channel()
    (first,), state = decide(critical(), AlertState(), rules, NOON)
    nothing, state = decide(None, state, rules, NOON + timedelta(seconds=5))
    assert nothing == ()
    (again,), state = decide(None, state, rules, NOON + timedelta(seconds=60))
    assert again.number == first.number, "the process that had it died"
    state = settle(again, None, state, rules, NOON + timedelta(seconds=61))
    assert settle(first, "late", state, rules, NOON + timedelta(seconds=62)) == state


def test_a_clock_that_was_set_back_holds_nothing_back() -> None:
    world = World(one_channel(max_messages=1))
    world.tell(critical())
    world.now -= timedelta(days=400)
    assert said(world.tell(critical())) == [("chat", "alert")]


# -- properties -----------------------------------------------------------------------------------------------------

LEVELS = st.sampled_from(list(Level))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("alert"), LEVELS, st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("over"), st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("wait"), st.integers(1, 5_000)),
        st.tuples(st.just("down"), st.sampled_from(["chat", "phone"])),
        st.tuples(st.just("up"), st.sampled_from(["chat", "phone"])),
        st.tuples(st.just("restart")),
        st.tuples(st.just("crash"), LEVELS, st.sampled_from(["a", "b", "c"])),
    ),
    max_size=25,
)
RULES = st.builds(
    lambda limit, minutes, repeat, quiet, escalated: settings(
        channels={
            "chat": {
                "url_variable": "CHAT_ALERT_URL",
                "min_level": "info",
                "max_messages": limit,
                "per_minutes": minutes,
                "quiet": {"begin": "13:00", "end": "11:00"} if quiet else None,
            },
            "phone": {"url_variable": "PHONE_ALERT_URL", "min_level": "critical", "max_messages": limit},
        },
        repeat_minutes=repeat,
        escalation={"to": "phone", "after_minutes": 5, "every_minutes": 30} if escalated else None,
    ),
    st.integers(1, 4),
    st.sampled_from([1, 30, 600]),
    st.sampled_from([1, 60]),
    st.booleans(),
    st.booleans(),
)


def _do(world: World, step: tuple[Any, ...], critical_at: Callable[[str], None]) -> None:
    match step:
        case ("alert", level, key):
            critical_at(key) if level is Level.CRITICAL else None
            world.tell(Alert(level, f"{key} {level}", key=key))
        case ("crash", level, key):  # decided, and the process died before it sent anything
            critical_at(key) if level is Level.CRITICAL else None
            _, world.state = decide(Alert(level, f"{key} {level}", key=key), world.state, world.settings, world.now)
            world.restart()
        case ("over", key):
            world.tell(Alert(Level.INFO, "fine", key=key, over=True))
        case ("wait", seconds):
            world.now += timedelta(seconds=seconds)
            world.tell()
        case ("down", channel):
            world.down.add(channel)
        case ("up", channel):
            world.down.discard(channel)
        case _:
            world.restart()


@given(rules=RULES, steps=STEPS)
def test_nothing_critical_is_ever_lost(rules: AlertSettings, steps: list[tuple[Any, ...]]) -> None:
    world = World(rules)
    happened: list[tuple[datetime, str]] = []
    for step in steps:
        _do(world, step, lambda key: happened.append((world.now, key)))
    world.down = set()
    world.wait(timedelta(days=3), step=timedelta(minutes=30))
    for at, key in happened:
        since = at - timedelta(minutes=rules.repeat_minutes)
        for channel in ("chat", "phone"):
            assert any(
                one.channel == channel and one.key == key and one.level is Level.CRITICAL and taken > since
                for taken, one in world.took
            ), f"{channel} was not told of {key} at {at}"
    waiting = [one for one in world.state.outbox if one.kind in ("alert", "handover") and one.attempts == 0]
    assert not waiting, "or it would wait for ever"


@given(rules=RULES, steps=STEPS)
def test_a_channel_is_never_told_more_than_its_limit(rules: AlertSettings, steps: list[tuple[Any, ...]]) -> None:
    world = World(rules)
    for step in steps:
        _do(world, step, lambda _: None)
    world.wait(timedelta(hours=4), step=timedelta(minutes=7))
    for name, channel in rules.channels.items():
        times = [at for at, one in world.took if one.channel == name]
        span = timedelta(minutes=channel.per_minutes)
        assert all(sum(at <= other < at + span for other in times) <= channel.max_messages for at in times)


@given(rules=RULES, level=LEVELS, times=st.integers(2, 6))
def test_the_same_alert_at_one_moment_is_one_alert(rules: AlertSettings, level: Level, times: int) -> None:
    once, often = World(rules), World(rules)
    alert = Alert(level, "what", key="a")
    once.tell(alert)
    for _ in range(times):
        often.tell(alert)
    assert [one for _, one in once.took] == [one for _, one in often.took]


@given(rules=RULES, steps=STEPS)
def test_what_is_acknowledged_is_not_escalated_until_it_happens_anew(
    rules: AlertSettings, steps: list[tuple[Any, ...]]
) -> None:
    world = World(rules)
    for step in steps:
        _do(world, step, lambda _: None)
    world.down = set()
    world.state = acknowledge(world.state, list(world.state.matters), world.now)
    later = world.wait(timedelta(days=2), step=timedelta(minutes=30))
    channels = {one.key for one in later if one.key.startswith("alerts/channel/")}
    assert not [one for one in later if one.kind == "escalation" and one.key not in channels]


@given(rules=RULES, steps=STEPS)
def test_a_restart_goes_on_as_if_nothing_had_been(rules: AlertSettings, steps: list[tuple[Any, ...]]) -> None:
    with_it, without = World(rules), World(rules)
    for step in steps:
        _do(without, step, lambda _: None)
        _do(with_it, step, lambda _: None)
        with_it.restart()
    assert with_it.state == without.state
    assert with_it.took == without.took


@pytest.mark.parametrize("key", ["a" * 5_000, "", "[x", "*"])
def test_any_key_is_a_key(key: str) -> None:
    world = World(one_channel())
    assert said(world.tell(Alert(Level.CRITICAL, "what\nwith lines", key=key))) == [("chat", "alert")]

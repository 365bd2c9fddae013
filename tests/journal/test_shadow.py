"""What challengers say, on its way through the journal."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import NodeError
from trading_assets.journal import (
    Answer,
    Journal,
    check_journal,
    load_journal,
    read_since,
    shadow_event,
    shadow_signals,
)
from trading_assets.store import Store
from trading_assets.store.tables import SHADOW_SIGNALS

BAR = datetime(2025, 5, 20, tzinfo=UTC)
SHARE = st.floats(0, 1)
ANSWERS = st.builds(
    Answer,
    model=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    model_version=st.integers(1, 99),
    bundle_hash=st.from_regex("[0-9a-f]{16}", fullmatch=True),
    side=st.sampled_from([1, -1]),
    probability=SHARE,
    threshold=st.just(0.5),
    take_profit_pct=st.floats(1e-4, 50),
    stop_loss_pct=st.floats(1e-4, 50),
    action=st.sampled_from(["enter", "hold"]),
)


def answer(version: int, *, action: str = "hold") -> Answer:
    return Answer("syna", version, "9f86d081884c7d65" * 4, 1, 0.421337278312345, 0.55123456, 0.8, 0.4, action)


def event(number: int, challengers: int = 8) -> tuple[str, dict[str, object]]:
    bar = BAR + number * timedelta(minutes=15)
    others = [answer(version) for version in range(2, 2 + challengers)]
    return shadow_event("x:A/B", "15m", bar, ts=bar + timedelta(minutes=15), champion=answer(1), others=others)


@given(ANSWERS)
@examples(200)
def test_an_answer_is_read_as_it_was_written(one: Answer) -> None:
    assert Answer.parse(str(one)) == one


@pytest.mark.parametrize(
    "text", ["", "syna 3", "syna 3 ab 1 x 0.5 0.8 0.4 hold", "syna 3 ab 2 0.5 0.5 1 1 hold", "a 1 b 1 1 1 1 1 go"]
)
def test_what_is_no_answer_is_named(text: str) -> None:
    _, one = event(0)
    row = {**one, "challengers": [text]}
    frame = pl.DataFrame(
        [
            {
                "node": "n",
                "seq": 7,
                **{key: row[key] for key in ("ts", "market", "timeframe", "bar_ts", "champion", "challengers")},
            }
        ]
    )
    with pytest.raises(NodeError, match=r"event 7 of the journal is damaged: .* is not an answer"):
        shadow_signals(frame)


def test_answers_come_into_the_store_as_rows_exactly_once(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "j.sqlite"
    with closing(Journal(path, "n")) as journal:
        journal.record_all([event(0), event(1)])
        journal.record_all([event(1)])
        assert load_journal(store, path)["shadow_signals"] == 18
        assert load_journal(store, path)["shadow_signals"] == 0
        journal.record_all([event(2, challengers=1)])
    assert load_journal(store, path)["shadow_signals"] == 2
    rows = store.read(SHADOW_SIGNALS).sort("seq", "model_version")
    assert rows["role"].to_list() == ["champion", *["challenger"] * 8] * 2 + ["champion", "challenger"]
    assert rows["bundle_hash"].unique().to_list() == ["9f86d081884c7d65"]
    assert rows.select("probability", "threshold", "take_profit", "stop_loss").row(0) == (
        0.421337278312345,
        0.5512,
        0.008,
        0.004,
    )
    assert check_journal(path).damaged == ()
    assert read_since(path, 0)["signals"].is_empty()


def test_eight_challengers_add_less_than_two_kilobytes_a_bar(tmp_path: Path) -> None:
    path, bars = tmp_path / "j.sqlite", 2_000
    with closing(Journal(path, "n")) as journal:
        journal.record_all([event(number) for number in range(bars)])
    assert path.stat().st_size / bars < 2_000

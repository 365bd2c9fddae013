"""Feature rows in the journal: packed to four bytes a value, written with the heartbeat, kept for a while."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from trading_assets.core.errors import InvalidFrame, NodeError
from trading_assets.core.sides import Side
from trading_assets.features import FeatureRow
from trading_assets.journal import BufferedJournal, Journal, check_journal, pack, read_since, read_state, unpack
from trading_assets.models.decision import Decision
from trading_assets.store.tables import LIVE_FEATURES
from trading_assets.strategies.signals import ClosedBar
from trading_live.node.journal.feature_rows import FeatureRows

T0 = datetime(2025, 5, 1, tzinfo=UTC)
M15 = timedelta(minutes=15)
MODEL = cast(
    "Any",
    SimpleNamespace(
        deployed=SimpleNamespace(model="syna", version=2, bundle_hash="f" * 64),
        bundle=SimpleNamespace(features=("b", "a")),
    ),
)
values = st.one_of(st.none(), st.floats(width=32, allow_nan=False))


@given(st.lists(st.tuples(values, values, values), min_size=1, max_size=5))
def test_a_packed_row_comes_back_as_it_was(rows: list[tuple[float | None, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.Float64), orient="row")
    packed = pl.Series("packed", [pack(frame[number]) for number in range(frame.height)])
    assert_frame_equal(unpack(packed, ["a", "b", "c"]), frame.cast(pl.Float32), check_exact=True)


@pytest.mark.parametrize("text", ["AAAA", "no base64!", None])
def test_what_is_no_row_of_these_features_is_refused(text: str | None) -> None:
    with pytest.raises(InvalidFrame):
        unpack(pl.Series("packed", [text], pl.String), ["a", "b"])


def decided(number: int) -> tuple[ClosedBar, Any, Decision]:
    ts = T0 + number * M15
    bar = ClosedBar("sample:SYNA/USDT:USDT", "15m", ts, ts + M15, 1.0, 1.0, 1.0, 1.0, 1.0)
    row = pl.DataFrame(
        {"market": bar.market, "ts": ts, "a": [number + 0.5], "b": [None]}, schema_overrides={"b": pl.Float64}
    )
    return bar, MODEL, Decision(FeatureRow.of_frame(row), {Side.SHORT: 0.25}, 0.01, 0.01)


def test_rows_wait_for_the_heartbeat_and_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(BufferedJournal(Journal(path, "node"))) as journal:
        rows = FeatureRows(journal, keep=timedelta(days=30))
        for number in (1, 2):
            rows.add(*decided(number))
        assert journal.waiting == 0
        rows.write()
        rows.add(*decided(2))  # after a restart, say
        rows.write()
        journal.flush()
    told = read_since(path, 0)[LIVE_FEATURES.name]
    assert told["bar_ts"].to_list() == [T0 + M15, T0 + 2 * M15]
    assert told.row(0, named=True)["probability_short"] == 0.25
    assert told["probability_long"].null_count() == 2
    assert unpack(told["packed"], MODEL.bundle.features)["a"].to_list() == [1.5, 2.5]
    assert check_journal(path).damaged == ()


def test_old_rows_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(BufferedJournal(Journal(path, "node"))) as journal:
        journal.record_all([("node", {"ts": T0, "event": "started", "detail": "here"})])
        rows = FeatureRows(journal, keep=timedelta(days=2))
        for number in range(0, 96 * 4, 32):
            rows.add(*decided(number))
            rows.write()
            journal.flush()
        state = read_state(path)
    told = read_since(path, 0)
    kept = told[LIVE_FEATURES.name]["bar_ts"]
    assert told["node"]["event"].to_list() == ["started"]
    assert kept.max() == T0 + 352 * M15
    assert timedelta(days=2) <= kept.max() - kept.min() < timedelta(days=3.1)  # type: ignore[operator]
    assert state.started == "here"
    assert state.newest is None, "rows are no events of the market"


class Full:
    """A writer on a full disk."""

    path, node = Path("x"), "node"

    def write(self, rows: Any) -> list[int]:
        raise NodeError("the disk is full")

    stay = forget = new_session = close = write


def test_no_row_waits_in_memory_while_the_disk_is_full() -> None:
    journal = BufferedJournal(cast("Any", Full()), clock=lambda: 0.0)
    journal.keep_all([("node", {"ts": T0, "event": "x", "detail": ""})])
    rows = FeatureRows(journal, keep=timedelta(days=2))
    for number in range(100):
        rows.add(*decided(number))
        rows.write()
    assert journal.waiting == 1

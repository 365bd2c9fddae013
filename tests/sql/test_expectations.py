"""The tests beside the models: what they find, and what is wrong with a bad file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from trading_assets.core.errors import SqlModelError
from trading_assets.sql import SqlModel, check_expectations, load_models
from trading_assets.store import Store
from trading_assets.store.tables import BARS, CANDLES

SQL = "SELECT market, ts, ts AS known_at, open, high, low, close, volume, 1 AS candles FROM candles"
START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TABLE = BARS["1h"]


def model(folder: Path, yaml: str) -> SqlModel:
    (folder / "bars_1h.sql").write_text(SQL)
    (folder / "bars_1h.yaml").write_text(yaml)
    return load_models(folder)["bars_1h"]


def with_tests(folder: Path, *tests: str) -> SqlModel:
    listed = "".join(f"\n      - {test}" for test in tests)
    return model(folder, f"models:\n  - name: bars_1h\n    data_tests:{listed}\n")


def bars(**columns: list[object]) -> pl.DataFrame:
    """Four good bars with some columns changed."""
    good: dict[str, list[object]] = {
        "market": ["a", "a", "b", "b"],
        "ts": [START, START + HOUR, START, START + HOUR],
        "candles": [60] * 4,
    }
    frame = pl.DataFrame(
        {name: good.get(name, [1.0] * 4) for name in TABLE.columns} | {"known_at": good["ts"]} | columns
    )
    return frame.select(pl.col(name).cast(dtype) for name, dtype in TABLE.columns.items())


def failing(store: Store, model: SqlModel, frame: pl.DataFrame, **scope: object) -> dict[str, int]:
    store.replace(TABLE, frame, where={})
    return {one.expectation.name: one.failing for one in check_expectations(store, model, **scope)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("test", "name", "spoilt", "broken"),
    [
        ("not_null: {columns: [open, close]}", "not_null_open_close", {"close": [1.0, None, 1.0, None]}, 2),
        ("unique: {columns: [market, candles]}", "unique_market_candles", {"candles": [1, 1, 1, 2]}, 1),
        ("accepted_range: {columns: [low], min_value: 0}", "accepted_range_low", {"low": [0.0, -1.0, None, 2.0]}, 1),
        (
            "accepted_range: {columns: [low], min_value: 0, max_value: 2, inclusive: false}",
            "accepted_range_low",
            {"low": [0.0, -1.0, None, 2.0]},
            3,
        ),
        ('accepted_values: {columns: [market], values: [a, "it\'s"]}', "accepted_values_market", {}, 2),
        ("relationships: {columns: [market], to: candles}", "relationships_market", {}, 4),
        ("relationships: {columns: [ts], to: bars_1h, fields: [known_at]}", "relationships_ts", {}, 0),
        ("expression_is_true: {name: sane, expression: high >= low}", "sane", {"low": [2.0, 1.0, None, 1.0]}, 1),
        ("not_null: {columns: [open], where: market = 'b'}", "not_null_open", {"open": [None, 1.0, None, 1.0]}, 1),
    ],
)
def test_a_test_counts_the_rows_that_break_it(
    store: Store, tmp_path: Path, test: str, name: str, spoilt: dict[str, list[object]], broken: int
) -> None:
    one = with_tests(tmp_path, test)
    assert failing(store, one, bars(**spoilt)) == {name: broken}
    (outcome,) = check_expectations(store, one)
    assert outcome.passed == (broken == 0)
    assert outcome.examples.height == broken


def test_a_test_of_a_column_needs_no_list_of_columns(store: Store, tmp_path: Path) -> None:
    yaml = (
        "models:\n- name: bars_1h\n  columns:\n  - name: market\n    data_tests:\n"
        "    - not_null\n    - relationships: {to: candles, severity: warn}\n"
    )
    one = model(tmp_path, yaml)
    assert [(test.name, test.severity) for test in one.expectations] == [
        ("not_null_market", "error"),
        ("relationships_market", "warn"),
    ]
    store.upsert(
        CANDLES,
        pl.DataFrame({"market": ["a"], "timeframe": "1m", "ts": [START]}).select(
            pl.lit(None, dtype).alias(name) if name not in {"market", "timeframe", "ts"} else pl.col(name).cast(dtype)
            for name, dtype in CANDLES.columns.items()
        ),
    )
    assert failing(store, one, bars()) == {"not_null_market": 0, "relationships_market": 2}


def test_only_the_rows_asked_for_are_looked_at(store: Store, tmp_path: Path) -> None:
    one = with_tests(tmp_path, "not_null: {columns: [open]}", "not_null: {columns: [low]}")
    frame = bars(open=[None, None, None, 1.0])
    assert failing(store, one, frame) == {"not_null_open": 3, "not_null_low": 0}
    assert failing(store, one, frame, where={"market": "a"}, end=START + HOUR, names=["not_null_open"]) == {
        "not_null_open": 1
    }


def test_a_broken_relation_of_a_row_to_its_own_table_is_found(store: Store, tmp_path: Path) -> None:
    one = with_tests(tmp_path, "relationships: {columns: [ts], to: bars_1h, fields: [known_at], where: market = 'a'}")
    moved = [START + 9 * HOUR] * 4
    assert failing(store, one, bars(known_at=moved)) == {"relationships_ts": 2}


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("models: [", r"bars_1h.yaml:1: no YAML: .*; mend the file"),
        ("models:\n  - name: x\n   - y", r"bars_1h.yaml:3: no YAML"),
        ("tests: []", r"bars_1h.yaml:1: no list 'models'"),
        ("models:\n- name: bars_2h", r"bars_1h.yaml:2: unknown model: 'bars_2h'; there is bars_1h"),
        ("models:\n- bars_1h", r"bars_1h.yaml:2: not a model: bars_1h"),
        ("models:\n- name: bars_1h\n  test: []", r"bars_1h.yaml:3: unknown key: 'test'"),
        ("models:\n- name: bars_1h\n  data_tests: unique", r"bars_1h.yaml:2: no list 'data_tests'"),
        (
            "models:\n- name: bars_1h\n  data_tests:\n  - uniqe",
            r"bars_1h.yaml:4: unknown test 'uniqe'; there is unique, ",
        ),
        ("models:\n- name: bars_1h\n  data_tests:\n  - unique", r"bars_1h.yaml:4: unique: columns: Field required"),
        (
            "models:\n- name: bars_1h\n  columns:\n  - name: opne\n    data_tests: [not_null]",
            r"bars_1h.yaml:4: unknown column of bars_1h: 'opne'",
        ),
        (
            "models:\n- name: bars_1h\n  data_tests:\n  - unique: {columns: [market, t]}",
            r"bars_1h.yaml:4: unknown column of bars_1h: 't'",
        ),
        (
            "models:\n- name: bars_1h\n  columns:\n  - name: low\n    data_tests:\n    - accepted_range",
            r"bars_1h.yaml:6: accepted_range: .*give min_value, max_value or both",
        ),
        (
            "models:\n- name: bars_1h\n  columns:\n  - name: open\n    data_tests:\n    - not_null: {severity: fatal}",
            r"bars_1h.yaml:6: not_null: severity: .*'error' or 'warn'",
        ),
        (
            "models:\n- name: bars_1h\n  data_tests:\n  - relationships: {columns: [market], to: candlez}",
            r"bars_1h.yaml:4: unknown table 'candlez'",
        ),
        (
            "models:\n- name: bars_1h\n  data_tests:\n  - relationships: {columns: [market], to: candles, fields: [m]}",
            r"bars_1h.yaml:4: unknown column of candles: 'm'",
        ),
        (
            "models:\n- name: bars_1h\n  data_tests:\n  - expression_is_true: {name: x, expression: high > lowest}",
            r"bars_1h.yaml:4: unknown column 'lowest'",
        ),
        (
            "models:\n- name: bars_1h\n  data_tests:\n  - expression_is_true: {name: x, expression: 'high >'}",
            r"bars_1h.yaml:4: syntax error",
        ),
        (
            "models:\n- name: bars_1h\n  data_tests:\n  - not_null: {columns: [open]}\n  - not_null: {columns: [open]}",
            r"bars_1h.yaml:5: the test 'not_null_open' stands at .*bars_1h.yaml:4 too",
        ),
        ("models:\n- name: bars_1h\n  data_tests:\n  - unique: [market]", r"bars_1h.yaml:4: not a test: "),
    ],
)
def test_a_broken_test_file_fails_at_load_with_file_and_line(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(SqlModelError, match=message):
        model(tmp_path, yaml)


def test_models_are_read_again_when_their_tests_change(tmp_path: Path) -> None:
    assert len(with_tests(tmp_path, "not_null: {columns: [open]}").expectations) == 1
    assert len(with_tests(tmp_path, "not_null: {columns: [open]}", "not_null: {columns: [close]}").expectations) == 2

"""The SQL models as files: what they read, need and return, and what is wrong with a bad one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from trading_assets.core.errors import SqlModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.sql import load_models, run_model, run_window
from trading_assets.store import TABLES, Store

BAR = "SELECT market, ts, ts AS known_at, open, high, low, close, volume, 1 AS candles\nFROM {}"
GAPS = "SELECT market, '1m' AS timeframe, b.ts, c.ts AS \"end\", 1 AS candles FROM {}"
OTHERS = {"gaps", "daily_quality", "exchange_comparison", "performance_summary"}
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)


def write(folder: Path, **files: str) -> Path:
    for name, sql in files.items():
        path = folder / f"{name.replace('__', '/')}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(sql)
    return folder


def test_the_models_are_those_that_the_tables_expect() -> None:
    models = load_models()
    assert set(models) == OTHERS, "no bars, unless somebody asks for them"
    assert set(load_models(timeframes=[Timeframe(30), Timeframe(60)])) == {"bars_30m", "bars_1h", *OTHERS}
    assert models["bars_1h"].dependencies == ("candles",)
    assert models["bars_1h"].parameters == ("candle_minutes", "end", "market", "start", "timeframe")
    assert models["performance_summary"].dependencies == ("fills", "live_funding", "positions", "signals")
    assert models["performance_summary"].parameters == ()
    assert models["bars_4h"].description == "Closed 4h bars of one market, from its stored candles."
    assert [one.name for one in models["bars_2h"].expectations] == [one.name for one in models["bars_1h"].expectations]
    with pytest.raises(KeyError):
        models["bars_7m"]


def test_a_template_gives_the_models_that_others_name(tmp_path: Path) -> None:
    text = "-- {timeframe}\n" + BAR.format("candles WHERE {minutes} > 0")
    write(tmp_path, **{"bars_{timeframe}": text, "gaps": GAPS.format("bars_2h b JOIN bars_45m c USING (market)")})
    (tmp_path / "tests.yaml").write_text("models:\n- name: bars_{timeframe}\n  data_tests: [not_null: {columns: [ts]}]")
    models = load_models(tmp_path)
    assert list(models) == ["bars_45m", "bars_2h", "gaps"]
    assert models["bars_2h"].sql.splitlines()[0] == "-- 2h"
    assert models["bars_2h"].sql.endswith("120 > 0")
    assert [one.name for one in models["bars_45m"].expectations] == ["not_null_ts"]
    (tmp_path / "tests.yaml").write_text("models:\n- name: barz_{timeframe}")
    with pytest.raises(SqlModelError, match=r"tests.yaml:2: unknown model: 'barz_\{timeframe\}'"):
        load_models(tmp_path)


@pytest.mark.parametrize("name", [*sorted(load_models()), "bars_1h"])
def test_a_model_returns_the_columns_and_types_of_its_table(store: Store, name: str) -> None:
    model = load_models()[name]
    if "candle_minutes" in model.parameters:
        frame = run_window(store, model, market="x:A/B", timeframe="1m", start=START, end=END)
    else:
        given = {"start": START, "end": END, "limit_bps": 10.0}
        frame = run_model(store, model, **{parameter: given[parameter] for parameter in model.parameters})
    assert frame.schema == pl.DataFrame(schema=TABLES[name].columns).schema
    assert store.upsert(TABLES[name], frame) == 0


def test_what_a_model_reads_comes_before_it(tmp_path: Path) -> None:
    models = load_models(
        write(tmp_path, bars_15m=BAR.format("bars_5m"), bars_1h=BAR.format("Bars_15m"), bars_5m=BAR.format("candles"))
    )
    assert list(models) == ["bars_5m", "bars_15m", "bars_1h"]


def test_parts_of_a_statement_and_functions_are_no_tables(tmp_path: Path) -> None:
    sql = "WITH part AS (SELECT * FROM Candles), r AS (SELECT * FROM range(3))\n" + BAR.format("part JOIN r ON TRUE")
    assert load_models(write(tmp_path, bars_5m=sql))["bars_5m"].dependencies == ("candles",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"bars_5m": "SELECT *\nFROM candles\nWHERE (ts = $x\nGROUP BY"},
            'bars_5m.sql:4: syntax error at or near "GROUP"',
        ),
        ({"bars_5m": "SELECT *\nFROM candles\nWHERE a = 'x"}, "bars_5m.sql:3: unterminated string"),
        ({"bars_5m": "-- $a\n" + BAR.format("\n  candlez")}, "bars_5m.sql:4: unknown table 'candlez'"),
        (
            {"bars_5m": BAR.format("candles\nWHERE clsoe > 0")},
            "bars_5m.sql:3: unknown column 'clsoe'; there is close, ",
        ),
        ({"bars_5m": BAR.format("candles c\nORDER BY\n  c.tss")}, "bars_5m.sql:4: unknown column 'c.tss'"),
        (
            {"bars_5m": "WITH a AS (SELECT market FROM candles)\n" + BAR.format("a")},
            "bars_5m.sql:2: unknown column 'ts'",
        ),
        (
            {"bars_5m": BAR.format("candles c\nWHERE EXISTS (SELECT 1 FROM bars_1h b\nWHERE b.ts = c.seq)")},
            "bars_5m.sql:4: unknown column 'c.seq'",
        ),
        (
            {"bars_5m": BAR.format("candles JOIN bars_1h ON TRUE")},
            "bars_5m.sql:1: 'market' is a column of candles and of",
        ),
        ({"bars_5m": BAR.format("other.candles")}, "bars_5m.sql:2: unknown table 'other.candles'"),
        (
            {"bars_5m": BAR.format("bars_1h"), "bars_1h": BAR.format("bars_5m")},
            "in a circle: bars_.* <- bars_.* <- bars_",
        ),
        ({"bars_5m": BAR.format("bars_5m")}, "bars_5m.sql:2: .*in a circle: bars_5m <- bars_5m"),
        (
            {"bars_5m": BAR.format("candles"), "x__BARS_5m": BAR.format("candles")},
            "BARS_5m.sql:1: the name is taken by .*bars_5m.sql",
        ),
        ({"bars_5m": "SELECT *\nFROM candles"}, r"bars_5m.sql:1: returns \*; the table bars_5m has market, ts"),
        ({"bars_5m": "SELECT 1 AS market"}, "bars_5m.sql:1: returns market; the table"),
        ({"unheard_of": "SELECT 1 AS a"}, "unheard_of.sql:1: no table 'unheard_of' for its rows; declare it"),
        ({"bars_5m": "DROP TABLE candles"}, "bars_5m.sql:1: not one SELECT"),
        ({"bars_5m": BAR.format("candles") + "; SELECT 2"}, "bars_5m.sql:1: not one SELECT"),
        ({"bars_5m": "-- nothing"}, "bars_5m.sql:1: not one SELECT"),
        ({}, "no .sql files"),
    ],
)
def test_a_bad_model_fails_when_loaded_with_file_and_line(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(SqlModelError, match=message):
        load_models(write(tmp_path, **files))


def test_models_are_parsed_once_until_a_file_changes(tmp_path: Path) -> None:
    folder = write(tmp_path, bars_5m=BAR.format("candles"))
    first = load_models(folder)["bars_5m"]
    assert load_models(folder)["bars_5m"] is first
    write(folder, bars_5m=BAR.format("bars_1h"))
    os.utime(folder / "bars_5m.sql", ns=(1, 1))
    assert load_models(folder)["bars_5m"].dependencies == ("bars_1h",)


def test_a_statement_that_the_store_refuses_names_its_file(store: Store, tmp_path: Path) -> None:
    model = load_models(write(tmp_path, bars_5m=BAR.format("candles WHERE market + 1 > 2")))["bars_5m"]
    with pytest.raises(SqlModelError, match=r"bars_5m.sql: .*"):
        run_model(store, model)

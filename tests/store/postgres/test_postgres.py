"""What is particular to the server engine: logins, rights, locks and connections that break."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import polars as pl
import psycopg
import pytest

from tests.servers import PASSWORD, postgres_server
from trading_assets.core.candles import TS
from trading_assets.core.errors import StoreError
from trading_assets.store import TABLES, open_store
from trading_assets.store.postgres.session import opened, public
from trading_assets.store.postgres.store import PostgresStore
from trading_assets.store.tables import BACKTEST_METRICS, CANDLES_QUARANTINE, EQUITY, FEATURES


@pytest.fixture
def store() -> PostgresStore:
    return PostgresStore(postgres_server().fresh_database(), 0.5)


def metrics(value: float = 1.0, model: str = "m") -> pl.DataFrame:
    return pl.DataFrame(
        {"model": [model], "version": pl.Series([1], dtype=pl.Int32), "metric": ["sharpe"], "value": [value]}
    )


@contextmanager
def locked(store: PostgresStore, mode: str = "ACCESS EXCLUSIVE") -> Iterator[int]:
    with psycopg.connect(store.url, application_name="somebody's report") as holder:
        holder.execute(f"LOCK TABLE backtest_metrics IN {mode} MODE")
        yield holder.info.backend_pid
        holder.rollback()


# addresses and logins


def test_an_address_needs_a_database() -> None:
    with pytest.raises(StoreError, match=r"'postgresql://me@host' names no database; write postgresql://user:pass"):
        open_store("postgresql://me:geheim@host")
    assert repr(open_store("postgres://me:geheim@host/db")) == "PostgresStore('postgres://me@host/db')"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:geheim@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me@/db?host=/tmp&password=geheim", "postgresql://me@/db?host=%2Ftmp"),
        ("postgresql://me:ge%40h:eim@[::1]/db?sslmode=require", "postgresql://me@[::1]/db?sslmode=require"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_no_message_shows_a_password(url: str, shown: str) -> None:
    assert public(url) == shown


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (quote(PASSWORD, safe=""), "geheim", "the server refused the password.*check the user and password"),
        (f":{quote(PASSWORD, safe='')}", "", "the server wants a password"),
        ("/test_", "/other_", "no such database.*createdb"),
        ("trading-postgres", "elsewhere", "no server answers there.*start it"),
    ],
)
def test_a_login_that_fails_says_what_to_do_about_it(store: PostgresStore, old: str, new: str, message: str) -> None:
    assert old in store.url
    wrong = replace(store, url=store.url.replace(old, new))
    for call in (lambda: wrong.read(BACKTEST_METRICS), lambda: wrong.upsert(BACKTEST_METRICS, metrics())):
        with pytest.raises(StoreError, match=message) as caught:
            call()
        assert str(caught.value).startswith(public(wrong.url))
        assert "geheim" not in str(caught.value)
        assert PASSWORD not in str(caught.value)


def test_a_closed_port_says_so() -> None:
    with pytest.raises(StoreError, match=r"postgresql://me@127.0.0.1:9/db: no server answers there"):
        open_store("postgresql://me:geheim@127.0.0.1:9/db").read(EQUITY)


def test_a_right_that_is_missing_is_named(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with psycopg.connect(postgres_server().superuser_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'r'")
    with psycopg.connect(store.url) as connection:
        connection.execute("GRANT SELECT ON backtest_metrics TO reader")
    server, database = postgres_server(), store.url.split("/")[3].split("?")[0]
    reader = PostgresStore(server.url(database, user="reader", password="r"), 1)
    assert reader.read(BACKTEST_METRICS).equals(metrics())
    with pytest.raises(StoreError, match=r"permission denied for table backtest_metrics; grant the right"):
        reader.upsert(BACKTEST_METRICS, metrics(2.0))
    with pytest.raises(StoreError, match=r"permission denied for schema public; grant the right"):
        reader.upsert(FEATURES, pl.DataFrame(schema=FEATURES.columns).clear(1).with_columns(**_bar()))


def _bar() -> dict[str, pl.Expr]:
    bar = pl.lit(datetime(2025, 1, 1, tzinfo=UTC)).cast(TS)
    return {"market": pl.lit("x:A/B"), "timeframe": pl.lit("1h"), "ts": bar, "known_at": bar}


# waiting for others


def test_a_table_held_for_too_long_is_named_with_its_holder(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with locked(store) as pid:
        for call in (lambda: store.read(BACKTEST_METRICS), lambda: store.upsert(BACKTEST_METRICS, metrics(2.0))):
            message = rf"held by connection {pid} \(somebody's report\) for longer than 0.5 s.*store.lock_timeout_s"
            with pytest.raises(StoreError, match=message):
                call()
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [1.0]


def test_a_call_waits_until_the_holder_lets_go(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    patient = replace(store, lock_timeout_s=300)
    with ThreadPoolExecutor(1) as other, locked(store):
        write = other.submit(patient.upsert, BACKTEST_METRICS, metrics(2.0))
        time.sleep(0.2)
        assert not write.done()
    assert write.result() == 1
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [2.0]


def test_readers_do_not_wait_for_a_writer(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with locked(store, "SHARE ROW EXCLUSIVE"):
        assert store.read(BACKTEST_METRICS)["value"].to_list() == [1.0]


def test_replaces_at_the_same_time_leave_the_rows_of_one_of_them(store: PostgresStore) -> None:
    patient = replace(store, lock_timeout_s=300)

    def curve(first: int, value: float) -> pl.DataFrame:
        start = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=first)
        days = pl.datetime_range(start, start + timedelta(days=50), "1d", closed="left", time_unit="us", eager=True)
        return pl.DataFrame({"ts": days}).select(
            model=pl.lit("m"), version=pl.lit(1, pl.Int32), ts="ts", equity=pl.lit(value), drawdown=pl.lit(0.0)
        )

    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            jobs = [
                threads.submit(patient.replace, EQUITY, curve(n * 10, float(n)), where={"model": "m"}) for n in range(4)
            ]
            assert [job.result() for job in jobs] == [50] * 4
            rows = store.read(EQUITY)
            assert rows.equals(curve(int(rows["equity"][0]) * 10, rows["equity"][0]))


def test_what_the_server_undoes_because_two_waited_for_each_other_is_done_again(store: PostgresStore) -> None:
    """One transaction holds the second row and wants the first; the store's has the first and wants the second."""
    patient = replace(store, lock_timeout_s=300)
    both = pl.concat([metrics(1.0, "a"), metrics(1.0, "b")])
    store.upsert(BACKTEST_METRICS, both)
    with psycopg.connect(store.url) as other, ThreadPoolExecutor(1) as threads:
        other.execute("UPDATE backtest_metrics SET value = 2 WHERE model = 'b'")
        write = threads.submit(patient.upsert, BACKTEST_METRICS, both.with_columns(value=pl.lit(3.0)))
        time.sleep(0.2)
        try:
            other.execute("UPDATE backtest_metrics SET value = 2 WHERE model = 'a'")
        except psycopg.errors.DeadlockDetected:
            other.rollback()  # the server chose this one
        else:
            other.commit()
        assert write.result() == 2
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [3.0, 3.0]


def test_two_that_make_the_tables_at_once_both_succeed(store: PostgresStore) -> None:
    patient = replace(store, lock_timeout_s=300)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: patient.prepare(TABLES.values()), range(4)))
    assert sorted(len(lines) for lines in made) == [0, 0, 0, sum(not table.on_demand for table in TABLES.values())]


def test_a_connection_that_breaks_in_the_middle_of_a_write_leaves_nothing_of_it(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    patient = replace(store, lock_timeout_s=300)
    with locked(store), ThreadPoolExecutor(1) as threads:
        write = threads.submit(patient.upsert, BACKTEST_METRICS, metrics(2.0))
        with psycopg.connect(postgres_server().superuser_url, autocommit=True) as admin:
            kill = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
            )
            database = store.url.split("/")[3].split("?")[0]
            while not admin.execute(kill, [database]).fetchall():
                time.sleep(0.02)
        with pytest.raises(StoreError, match=r"connection was lost.*nothing of the call was stored.*run it again"):
            write.result()
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [1.0]


# statements


def test_a_query_cannot_write(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    for sql in ("DELETE FROM backtest_metrics", "CREATE TABLE other (a INT)"):
        with pytest.raises(StoreError, match=r"(DELETE|CREATE) is not a SELECT, and a query only reads"):
            store.query(sql)
    assert store.read(BACKTEST_METRICS).equals(metrics())


def test_parameters_are_values_and_never_sql(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics(model="it's 100%; DROP TABLE \\"))
    found = store.query("SELECT value FROM backtest_metrics WHERE model = $m", {"m": "it's 100%; DROP TABLE \\"})
    assert found["value"].to_list() == [1.0]
    with pytest.raises(StoreError, match=r"no value for the parameter \$m"):
        store.query("SELECT value FROM backtest_metrics WHERE model = $m")
    with pytest.raises(StoreError, match="cannot stand in a statement"):
        store.query("SELECT $t", {"t": datetime(2025, 1, 1)})  # noqa: DTZ001


def test_numbers_of_any_length_come_back_as_numbers(store: PostgresStore) -> None:
    row = {name: [None] for name in CANDLES_QUARANTINE.columns} | {"market": ["m"], "timeframe": ["1m"]}
    row |= {"ts": [datetime(2025, 1, 1, tzinfo=UTC)], "row_hash": [2**64 - 1]}
    store.upsert(CANDLES_QUARANTINE, pl.DataFrame(row, schema=CANDLES_QUARANTINE.columns))
    frame = store.query("SELECT row_hash, sum(CAST(7 AS BIGINT)) AS n FROM candles_quarantine GROUP BY row_hash")
    assert frame.rows() == [(2**64 - 1, 7.0)]
    assert frame.dtypes == [pl.UInt64, pl.Float64]


def test_tables_say_what_they_mean(store: PostgresStore) -> None:
    store.prepare(TABLES.values())
    with opened(store.url, timeout_s=1) as session:
        described = session.fetch(
            "SELECT relname::text AS name, obj_description(oid, 'pg_class') AS comment FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    assert set(described["name"]) == {table.name for table in TABLES.values() if not table.on_demand}
    assert described["comment"].str.contains("Key: ").all()


def test_a_table_of_an_earlier_version_gains_the_columns_declared_since(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with psycopg.connect(store.url) as connection:
        connection.execute("ALTER TABLE backtest_metrics DROP COLUMN value")
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [None]
    assert store.prepare([BACKTEST_METRICS]) == ["backtest_metrics: added value"]
    store.upsert(BACKTEST_METRICS, metrics(3.0))
    assert store.read(BACKTEST_METRICS).equals(metrics(3.0))


def test_a_stored_column_of_another_type_is_not_written_over(store: PostgresStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with psycopg.connect(store.url) as connection:
        connection.execute("ALTER TABLE backtest_metrics ALTER value TYPE text")
    with pytest.raises(StoreError, match="backtest_metrics: value is text, not double precision"):
        store.upsert(BACKTEST_METRICS, metrics())


def test_an_identical_write_writes_nothing(store: PostgresStore) -> None:
    def versions() -> list[tuple[object, ...]]:
        with psycopg.connect(store.url) as connection:
            return connection.execute("SELECT xmin::text, ctid::text FROM backtest_metrics").fetchall()

    store.upsert(BACKTEST_METRICS, metrics(float("nan")))
    before = versions()
    store.upsert(BACKTEST_METRICS, metrics(float("nan")))
    store.replace(BACKTEST_METRICS, metrics(float("nan")), where={"model": "m"})
    assert [place for _, place in versions()] == [place for _, place in before]


def test_threads_that_start_together_share_what_was_learnt_about_the_server(store: PostgresStore) -> None:
    gate = threading.Barrier(4)

    def write(number: int) -> int:
        gate.wait()
        return replace(store, lock_timeout_s=300).upsert(BACKTEST_METRICS, metrics(model=f"m{number}"))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(write, range(4))) == [1] * 4
    assert len(store.read(BACKTEST_METRICS)) == 4

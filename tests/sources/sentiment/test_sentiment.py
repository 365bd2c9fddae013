"""Sentiment: providers of files and of JSON over HTTP, and what was known when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.sources.local_web import Answer, LocalWeb, serving
from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, SettingsError, SourceError
from trading_assets.settings import SentimentFiles, SentimentHttp, Settings, load_settings
from trading_assets.sources.contract import RAW_SENTIMENT
from trading_assets.sources.sentiment.files import ScoreFiles
from trading_assets.sources.sentiment.http import HttpScores
from trading_assets.sources.sentiment.ingestion import as_known, dated, ingest_sentiment, open_sentiment, split_scores
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.sources.transport.http import PatientHttp
from trading_assets.store import Store
from trading_assets.store.tables import FEED_QUARANTINE, SENTIMENT

DAY = timedelta(days=1)
START = datetime(2025, 3, 1, tzinfo=UTC)
NOW = START + 10 * DAY + timedelta(hours=3)
KEY = "very-secret-key"

Row = tuple[str, datetime | None, float | None, datetime | None]


def scores(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=RAW_SENTIMENT, orient="row")


def days(count: int, first: int = 0, score: float = 0.1) -> pl.DataFrame:
    return scores(*(("*", START + number * DAY, score, None) for number in range(first, first + count)))


@dataclass
class Told:
    """A provider that gives what it is told."""

    frame: pl.DataFrame
    live: bool = True

    def fetch(self) -> pl.DataFrame:
        return self.frame


def load(store: Store, frame: pl.DataFrame, now: datetime, lag: timedelta | None = None, *, live: bool = True) -> str:
    return str(ingest_sentiment(store, Told(frame, live), name="told", lag=lag, now=now))


# --- what was known when


def test_history_is_known_after_its_publication_lag_and_what_follows_when_it_is_fetched(store: Store) -> None:
    hour = timedelta(hours=1)
    assert load(store, days(10), NOW, hour) == "told: 10 scores fetched, 10 new, 0 revised"
    assert load(store, days(12), NOW + 2 * DAY, hour) == "told: 12 scores fetched, 2 new, 0 revised"
    assert load(store, days(15, first=-3), NOW + 3 * DAY, hour) == "told: 15 scores fetched, 3 new, 0 revised"
    stored = store.read(SENTIMENT)
    late = pl.col("ts") >= START + 10 * DAY
    assert stored.filter(~late).select(pl.col("known_at") - pl.col("ts")).to_series().unique().to_list() == [hour]
    assert stored.filter(late)["known_at"].to_list() == [NOW + 2 * DAY] * 2


def test_without_a_lag_everything_counts_as_known_when_it_was_fetched(store: Store) -> None:
    load(store, days(3), NOW)
    assert store.read(SENTIMENT)["known_at"].to_list() == [NOW] * 3


def test_a_lag_never_dates_a_score_after_it_was_read(store: Store) -> None:
    load(store, days(11), NOW, timedelta(days=30))
    assert store.read(SENTIMENT)["known_at"].to_list() == [NOW] * 11


def test_a_revision_is_a_further_row_and_leaves_what_was_known_before(store: Store) -> None:
    load(store, days(3), NOW, DAY)
    before = store.read(SENTIMENT)
    assert load(store, days(3, score=-0.4), NOW + DAY, DAY) == "told: 3 scores fetched, 0 new, 3 revised"
    assert load(store, days(3, score=-0.4), NOW + DAY, DAY) == "told: 3 scores fetched, 0 new, 0 revised"
    stored = store.read(SENTIMENT)
    assert stored.filter(pl.col("known_at") <= NOW).equals(before)
    assert stored.filter(pl.col("known_at") == NOW + DAY)["score"].to_list() == [-0.4] * 3


def test_a_file_of_history_that_grew_is_dated_by_its_lag(store: Store) -> None:
    load(store, days(3), NOW, DAY, live=False)
    load(store, days(5), NOW, DAY, live=False)
    assert store.read(SENTIMENT).select(pl.col("known_at") - pl.col("ts")).to_series().unique().to_list() == [DAY]


def test_revisions_that_a_file_dates_itself_are_stored_as_told_and_only_once(store: Store) -> None:
    at = START + timedelta(hours=1)
    told = scores(("BTC", START, 0.1, at), ("BTC", START, 0.3, at + DAY), ("BTC", START + DAY, 0.2, at + DAY))
    for _ in range(2):
        load(store, told, NOW, live=False)
    assert store.read(SENTIMENT).select(list(RAW_SENTIMENT)).equals(told.sort("ts", "known_at"))


GIVEN = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([-0.5, 0.0, 0.5])), min_size=1, max_size=6)


@examples(40)
@given(fetches=st.lists(GIVEN, min_size=1, max_size=6), lag=st.sampled_from([None, 0, 3]), live=st.booleans())
def test_no_later_fetch_changes_what_was_known_at_an_earlier_one(
    fetches: list[list[tuple[int, float]]], lag: int | None, live: bool
) -> None:
    stored = pl.DataFrame(schema=SENTIMENT.columns)
    for number, given_now in enumerate(fetches):
        now = NOW + number * DAY
        frame = scores(*(("*", START + at * DAY, score, None) for at, score in dict(given_now).items()))
        good, _ = split_scores(frame, now=now)
        fresh = dated(good, stored, lag=None if lag is None else lag * DAY, live=live, now=now)
        again = pl.concat([stored, fresh.with_columns(source=pl.lit("told")).select(list(SENTIMENT.columns))])
        assert not again.select(pl.struct(SENTIMENT.key).is_duplicated()).to_series().any()
        known = stored.select("scope", "ts").unique()
        assert fresh.join(known, on=["scope", "ts"], how="semi").filter(pl.col("known_at") < now).is_empty()
        latest = again.sort("known_at").group_by("ts").agg(pl.col("score").last())
        assert good.select("ts", "score").join(latest, on=["ts", "score"], how="anti").is_empty()
        assert dated(good, again, lag=None, live=live, now=now).is_empty(), "the same fetch again adds nothing"
        stored = again


def test_scores_as_they_came_to_be_known_leave_out_revisions_of_the_past() -> None:
    rows = [("*", 0, 0.1, 0), ("*", 1, 0.2, 1), ("*", 0, 0.9, 2), ("*", 1, 0.3, 3), ("BTC", 0, 0.5, 2)]
    stored = pl.DataFrame(
        [(scope, "told", START + ts * DAY, START + known * DAY, score) for scope, ts, score, known in rows],
        schema=SENTIMENT.columns,
        orient="row",
    )
    found = as_known(stored)
    assert found.filter(pl.col("scope") == "*")["score"].to_list() == [0.1, 0.2, 0.3]
    assert found.filter(pl.col("scope") == "BTC")["score"].to_list() == [0.5]


BAD: Sequence[tuple[str, Row]] = (
    ("missing_time", ("*", None, 0.1, None)),
    ("missing_scope", ("", START, 0.1, None)),
    ("missing_score", ("*", START, None, None)),
    ("not_finite", ("*", START, float("nan"), None)),
    ("out_of_range", ("*", START, 1.01, None)),
    ("from_the_future", ("*", NOW + DAY, 0.1, None)),
    ("known_too_early", ("*", START, 0.1, START - DAY)),
)


@pytest.mark.parametrize(("reason", "row"), BAD)
def test_a_score_that_breaks_a_rule_is_kept_apart_with_the_reason_and_only_once(
    store: Store, reason: str, row: Row
) -> None:
    for later in (0, 1):
        report = load(store, pl.concat([days(2, first=1), scores(row)]), NOW + timedelta(minutes=later), DAY)
        assert "1 quarantined" in report
    (kept,) = store.read(FEED_QUARANTINE).to_dicts()
    assert (kept["feed"], kept["subject"], kept["reason"], kept["seen_at"]) == ("sentiment", "told", reason, NOW)
    assert store.read(SENTIMENT).height == 2


def test_rivals_of_one_time_are_both_kept_apart() -> None:
    good, bad = split_scores(pl.concat([days(1), days(1), days(1, score=0.2), days(1, first=1)]), now=NOW)
    assert good["ts"].to_list() == [START + DAY]
    assert bad["reason"].to_list() == ["conflicting_duplicate"] * 2


# --- files


WANTED = scores(("BTC", START, -0.5, START + DAY), ("ETH", START + DAY, 1.0, START + 2 * DAY))
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    ".parquet": pl.DataFrame.write_parquet,
    ".csv": lambda frame, path: frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ"),
    ".feather": lambda frame, path: frame.write_ipc(path, compression="lz4"),
    ".jsonl": lambda frame, path: frame.with_columns(pl.col(TS).dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_ndjson(path),
}


def files(path: Path, **further: Any) -> ScoreFiles:
    return ScoreFiles.from_settings("mine", SentimentFiles(kind="files", path=str(path), **further))


@pytest.mark.parametrize("suffix", WRITERS)
def test_scores_are_read_from_files_and_scaled(tmp_path: Path, suffix: str) -> None:
    told = WANTED.with_columns(score=(pl.col("score") + 1) * 50).rename({"ts": "date", "score": "value"})
    WRITERS[suffix](told, tmp_path / f"scores{suffix}")
    found = files(tmp_path / f"*{suffix}", columns={"ts": "date", "score": "value"}, low=0, high=100).fetch()
    assert found.equals(WANTED)


def test_a_file_without_scope_and_known_at_takes_them_from_the_settings(tmp_path: Path) -> None:
    WANTED.select("ts", "score").write_parquet(tmp_path / "scores.parquet")
    with pytest.raises(InvalidFrame, match=r"nothing says when its scores were known; .*publication_lag_s"):
        files(tmp_path / "scores.parquet").fetch()
    found = files(tmp_path / "scores.parquet", publication_lag_s=60, scope="BTC").fetch()
    assert found["scope"].to_list() == ["BTC"] * 2
    assert found["known_at"].to_list() == [None] * 2


def test_files_of_scores_that_are_not_right_are_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("ts,mood\n2025-03-01T00:00:00Z,0.1\n")
    with pytest.raises(InvalidFrame, match=r"scores.csv: no column score; the file has ts, mood; map ours"):
        files(path, publication_lag_s=0).fetch()
    path.write_text("ts,score\n2025-03-01T00:00:00Z,0.1\n2025-03-02T00:00:00Z,good\n")
    with pytest.raises(InvalidFrame, match=r"column score: 1 values are not numbers, e.g. 'good' in row 2"):
        files(path, publication_lag_s=0).fetch()
    (lines := tmp_path / "scores.jsonl").write_text('{"ts": "2025-03-01T00:00:00Z", "score": 1}\n{"ts": \n')
    with pytest.raises(SourceError, match=r"scores.jsonl: cannot be read as JSON lines: "):
        files(lines, publication_lag_s=0).fetch()
    with pytest.raises(SourceError, match=r"none.csv: no such file; mend the path of sentiment.mine"):
        files(tmp_path / "none.csv", publication_lag_s=0).fetch()
    with pytest.raises(SettingsError, match=r"sentiment.mine.columns: scores have no column time"):
        files(path, columns={"time": "ts"})


# --- HTTP


FEAR_AND_GREED = {
    "name": "Fear and Greed Index",
    "data": [
        {"value": "25", "value_classification": "Extreme Fear", "timestamp": str(int((START + DAY).timestamp()))},
        {"value": "100", "value_classification": "Extreme Greed", "timestamp": str(int(START.timestamp()))},
        {"value": "n/a", "value_classification": "", "timestamp": str(int((START - DAY).timestamp()))},
    ],
    "metadata": {"error": None},
}
RECIPE = {"rows": "data", "ts": "timestamp", "score": "value", "low": 0, "high": 100}


def http(web: LocalWeb, path: str = "/fng/?limit=0", **further: Any) -> HttpScores:
    settings = SentimentHttp(kind="http", url=web.url + path, **{**RECIPE, **further})
    return HttpScores("greed", settings, PatientHttp(Backoff(3, sleep=lambda _seconds: None)))


def test_the_fear_and_greed_index_is_read_and_what_is_no_score_is_kept_as_it_came(store: Store) -> None:
    with serving(lambda _path, _query: (200, FEAR_AND_GREED)) as web:
        web.faults.extend(["500", "truncated"])
        ingest_sentiment(store, http(web), name="greed", lag=timedelta(), now=NOW)
        assert web.requests == ["/fng/?limit=0"] * 3
    stored = store.read(SENTIMENT)
    assert stored.select("scope", "source", "ts", "score").rows() == [
        ("*", "greed", START, 1.0),
        ("*", "greed", START + DAY, -0.5),
    ]
    (kept,) = store.read(FEED_QUARANTINE).to_dicts()
    assert kept["reason"] == "missing_score"
    assert r"\"value\": \"n/a\"" in kept["row"]


def test_each_scope_is_asked_for_on_its_own_or_read_from_the_row() -> None:
    def answer(path: str, _query: dict[str, str]) -> Answer:
        return 200, {"at": "2025-03-01T00:00:00Z", "score": 0.5, "of": path.removeprefix("/")}

    flat = {"rows": "@", "ts": "at", "score": "score", "low": -1, "high": 1}
    with serving(answer) as web:
        found = http(web, "/{scope}", scopes=["BTC", "ETH/X"], **flat).fetch()
        assert web.requests == ["/BTC", "/ETH%2FX"]
        assert found["scope"].to_list() == ["BTC", "ETH/X"]
        assert http(web, "/SOL", scope="of", **flat).fetch()["scope"].to_list() == ["SOL"]


@pytest.mark.parametrize(
    ("answer", "recipe", "message"),
    [
        (
            {"data": {}},
            {"rows": "items"},
            r"sentiment.greed, http://127.0.0.1:\d+/fng/: no list at `items`: .*mend `rows`",
        ),
        ({"data": [{"value": 1}]}, {}, r"no time at `timestamp` of \{\"value\": 1\}; mend `rows` and `ts`"),
        ({"data": [{"value": 1, "timestamp": "soon"}]}, {}, r"1 times cannot be read, e.g. 'soon'"),
        ({"data": [{"value": 1, "timestamp": float("nan")}]}, {}, r"1 times cannot be read, e.g. 'nan'"),
        ({"data": []}, {"rows": "data["}, r"sentiment.greed: `data\[` is no JMESPath"),
    ],
)
def test_an_answer_of_another_shape_is_explained(answer: Any, recipe: dict[str, str], message: str) -> None:
    with (
        serving(lambda _path, _query: (200, answer)) as web,
        pytest.raises((SourceError, InvalidFrame, SettingsError), match=message),
    ):
        http(web, **recipe).fetch()


def test_a_number_too_large_to_be_one_is_kept_apart_like_any_other_that_is_none(store: Store) -> None:
    answer = {"data": [{"value": 10**400, "timestamp": int(START.timestamp())}]}
    with serving(lambda _path, _query: (200, answer)) as web:
        assert ingest_sentiment(store, http(web), name="greed", lag=None, now=NOW).quarantined == 1


@pytest.mark.parametrize(
    "url", ["http://me:{KEY}@127.0.0.1:9/x?key={KEY}", "http://127.0.0.1:99999/?key={KEY}", "http://[no/?key={KEY}"]
)
def test_no_message_shows_the_query_or_the_password_of_an_address(url: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = SentimentHttp(kind="http", url=url.replace("{KEY}", KEY))
    provider = HttpScores("greed", settings, PatientHttp(Backoff(2, sleep=lambda _seconds: None)))
    with pytest.raises(SourceError, match="gave up after 2 attempts") as raised:
        provider.fetch()
    assert KEY not in str(raised.value) + caplog.text


# --- the settings


def settings_of(**provider: Any) -> Settings:
    return load_settings(sentiment={"greed": provider})


def test_a_key_comes_from_the_environment_into_the_header_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _path, _query: (401, {"message": f"{KEY} is no key"})) as web:
        settings = settings_of(kind="http", url=web.url, key_header="X-Key")
        monkeypatch.delenv("TRADING_KEYS__GREED__API_KEY", raising=False)
        with pytest.raises(SourceError, match=r"sentiment.greed: no API key; set TRADING_KEYS__GREED__API_KEY"):
            open_sentiment(settings, "greed")
        monkeypatch.setenv("TRADING_KEYS__GREED__API_KEY", KEY)
        provider = open_sentiment(settings, "greed")
        with pytest.raises(SourceError, match=r"refuses with 401: \*\*\* is no key; check the key") as raised:
            provider.fetch()
        assert web.headers[0]["X-Key"] == KEY
    assert KEY not in repr(provider) + str(raised.value)


def test_a_class_of_ones_own_is_a_provider(store: Store) -> None:
    options: dict[str, Any] = {"frame": days(2), "live": False}
    provider = open_sentiment(
        settings_of(kind="python", provider="tests.sources.sentiment.test_sentiment:Told", options=options), "greed"
    )
    assert ingest_sentiment(store, provider, name="greed", lag=DAY, now=NOW).added == 2


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("nowhere:Class", "cannot load nowhere:Class: nowhere: there is no module 'nowhere'"),
        ("tests.sources.sentiment.test_sentiment:Nothing", "cannot make .*has no attribute 'Nothing'"),
        (
            "tests.sources.sentiment.test_sentiment:Told",
            "cannot make .*missing 1 required positional argument: 'frame'",
        ),
        ("json:JSONDecoder", "json:JSONDecoder is no provider; give it `live` and"),
    ],
)
def test_a_class_that_is_no_provider_is_explained(provider: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_sentiment(settings_of(kind="python", provider=provider), "greed")


def test_a_class_that_breaks_is_named(store: Store) -> None:
    class Broken(Told):
        def fetch(self) -> pl.DataFrame:
            raise KeyError("mood")

    with pytest.raises(SourceError, match=r"sentiment.mine: the provider failed: KeyError: 'mood'; mend its `fetch"):
        ingest_sentiment(store, Broken(days(1)), name="mine", lag=None, now=NOW)


def test_a_provider_that_gives_no_scores_is_refused(store: Store) -> None:
    with pytest.raises(InvalidFrame, match=r"sentiment.told: not a frame of scores: score is String, known_at is miss"):
        load(store, days(1).with_columns(score=pl.lit("good")).drop("known_at"), NOW)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"low and high are both 5.0: there is nothing to scale"):
        settings_of(kind="http", url="http://localhost", low=5, high=5)
    with pytest.raises(SettingsError, match=r"sentiment.greed: no such provider; use one of: none yet"):
        open_sentiment(load_settings(), "greed")

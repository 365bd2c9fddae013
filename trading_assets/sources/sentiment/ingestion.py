"""Sentiment scores: what a provider is, when a score was known, and into the store without rewriting the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, SettingsError, SourceError, TradingError
from trading_assets.core.plugins import load_module
from trading_assets.settings import SentimentFiles, SentimentHttp, Settings
from trading_assets.sources.contract import RAW_SENTIMENT, SentimentProvider
from trading_assets.sources.ingest.feed_quarantine import quarantine_rows, reasons
from trading_assets.store.contract import Store
from trading_assets.store.tables import SENTIMENT

SENTIMENT_RULES: Final = {
    "missing_time": "the score has no time",
    "missing_scope": "the score has no scope",
    "missing_score": "the score is empty or no number",
    "not_finite": "the score is NaN or infinite",
    "out_of_range": "the score is not within -1 and 1 after scaling",
    "from_the_future": "the score is about a time after the fetch",
    "known_too_early": "the score claims to have been known before the time that it is about",
    "conflicting_duplicate": "several different scores claim the same scope and time",
}
"""Reason -> what it means."""


@dataclass(frozen=True, slots=True)
class SentimentReport:
    """What one ingest did."""

    provider: str
    fetched: int
    added: int
    revised: int
    quarantined: int

    def __str__(self) -> str:
        apart = f", {self.quarantined:,} quarantined" if self.quarantined else ""
        return f"{self.provider}: {self.fetched:,} scores fetched, {self.added:,} new, {self.revised:,} revised{apart}"


def open_sentiment(settings: Settings, name: str) -> SentimentProvider:
    """Open a provider by its name under ``sentiment`` in the settings.

    Raises
    ------
    SettingsError
        If there is none, or its class cannot be had.
    """
    chosen = settings.sentiment.get(name)
    if chosen is None:
        known = ", ".join(settings.sentiment) or "none yet"
        raise SettingsError("no such provider", where=f"sentiment.{name}", remedy=f"use one of: {known}")
    if isinstance(chosen, SentimentFiles):
        from trading_assets.sources.sentiment.files import ScoreFiles

        return ScoreFiles.from_settings(name, chosen)
    if isinstance(chosen, SentimentHttp):
        from trading_assets.sources.sentiment.http import HttpScores

        return HttpScores.from_settings(name, chosen)
    module, _, attribute = chosen.provider.partition(":")
    try:
        provider = getattr(load_module(module, settings.file.parent), attribute)(**chosen.options)
    except SettingsError as error:
        raise SettingsError(
            f"cannot load {chosen.provider}: {error.where}: {error.what}",
            where=f"sentiment.{name}",
            remedy="name a file beside the settings file, or an importable module, as module:Class",
        ) from error
    except (AttributeError, TypeError) as error:
        raise SettingsError(
            f"cannot make {chosen.provider}: {error}",
            where=f"sentiment.{name}",
            remedy="name an importable class as module:Class, and its arguments under `options`",
        ) from error
    if not isinstance(provider, SentimentProvider):
        raise SettingsError(
            f"{chosen.provider} is no provider", where=f"sentiment.{name}", remedy="give it `live` and `fetch()`"
        )
    return provider


def ingest_sentiment(
    store: Store, provider: SentimentProvider, *, name: str, lag: timedelta | None, now: datetime
) -> SentimentReport:
    """Fetch a provider's scores and add what is new; nothing that is stored changes.

    Parameters
    ----------
    store, provider
        Where to and where from.
    name
        The ``source`` of the rows.
    lag
        How long after ``ts`` a score of the past could be read; None if that is not known.
    now
        The present time.

    Raises
    ------
    SourceError
        If the provider cannot deliver.
    InvalidFrame
        If it delivers something that is not scores.
    """
    fetched = _fetched(provider, name)
    wrong = [f"{column} is {fetched.schema.get(column, 'missing')}" for column in _wrong(fetched)]
    if wrong:
        raise InvalidFrame(f"not a frame of scores: {', '.join(wrong)}", where=f"sentiment.{name}")
    good, bad = split_scores(fetched, now=now)
    quarantined = quarantine_rows(store, bad, feed=SENTIMENT.name, subject=name, source=name, now=now)
    stored = store.read(SENTIMENT, where={"source": name})
    fresh = dated(good, stored, lag=lag, live=provider.live, now=now)
    store.upsert(SENTIMENT, fresh.with_columns(source=pl.lit(name)).select(list(SENTIMENT.columns)))
    revised = fresh.join(stored, on=["scope", "ts"], how="semi").height
    return SentimentReport(name, fetched.height, fresh.height - revised, revised, quarantined)


def _fetched(provider: SentimentProvider, name: str) -> pl.DataFrame:
    try:
        return provider.fetch()
    except TradingError:
        raise
    except Exception as error:  # a class of the user's own may raise anything
        raise SourceError(
            f"the provider failed: {type(error).__name__}: {error}",
            where=f"sentiment.{name}",
            remedy="mend its `fetch()`; it should raise SourceError where it cannot deliver",
        ) from error


def _wrong(frame: pl.DataFrame) -> list[str]:
    return [column for column, dtype in RAW_SENTIMENT.items() if frame.schema.get(column) != dtype]


def split_scores(frame: pl.DataFrame, *, now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the scores that may be stored from those that break a rule.

    Returns
    -------
    tuple of DataFrame
        Columns of ``RAW_SENTIMENT``, ascending and unique by scope, ts and known_at; and the others as they came, with
        ``reason`` (see ``SENTIMENT_RULES``).
    """
    ts, score = pl.col("ts"), pl.col("score")
    broken = {
        "missing_time": ts.is_null(),
        "missing_scope": pl.col("scope").is_null() | (pl.col("scope") == ""),
        "missing_score": score.is_null(),
        "not_finite": score.is_finite().not_(),
        "out_of_range": score.is_finite() & (score.abs() > 1),
        "from_the_future": ts > now,
        "known_too_early": pl.col("known_at") < ts,
    }
    judged = frame.with_columns(reasons(broken))
    good = judged.filter(pl.col("reason") == "").unique(["scope", "ts", "known_at", "score"], maintain_order=True)
    rival = good.select(pl.struct("scope", "ts", "known_at").is_duplicated()).to_series()
    bad = [
        judged.filter(pl.col("reason") != ""),
        good.filter(rival).with_columns(reason=pl.lit("conflicting_duplicate")),
    ]
    ordered = good.filter(~rival).select(list(RAW_SENTIMENT)).sort("scope", "ts", "known_at", nulls_last=True)
    return ordered, pl.concat(bad)


def dated(
    scores: pl.DataFrame, stored: pl.DataFrame, *, lag: timedelta | None, live: bool, now: datetime
) -> pl.DataFrame:
    """What of the scores is new, each with the time from which on it was known.

    - A score that is stored already is nothing new. One that was changed since is a revision: known from now on,
      whatever it claims.
    - A time in ``known_at`` counts, and otherwise ``ts`` plus the publication lag, for scores of the past: those of
      a provider that is not live, and those before the first that is stored.
    - What a live provider gives after that is known from now on, and so is everything without either.

    Parameters
    ----------
    scores
        Columns of ``RAW_SENTIMENT``, good rows only.
    stored
        The provider's rows of the table ``sentiment``.

    Returns
    -------
    DataFrame
        Columns of ``RAW_SENTIMENT``; ``known_at`` is never null.
    """
    key = ["scope", "ts"]
    latest = stored.sort("known_at").group_by(key).agg(old=pl.col("score").last(), changed=pl.col("known_at").last())
    oldest = stored.group_by("scope").agg(oldest=pl.col("ts").min())
    told = scores.join(stored.select(*key, "score", same=pl.lit(value=True)).unique(), on=[*key, "score"], how="left")
    joined = told.join(latest, on=key, how="left").join(oldest, on="scope", how="left")
    # the newest stored score of a time is what is known of it: a score that comes back after a revision is one, too
    several = pl.len().over(key) > 1
    unchanged = (pl.col("old") == pl.col("score")) | (several & pl.col("same"))
    fresh = joined.filter(~unchanged.fill_null(False))
    at = pl.lit(now, TS)
    past = pl.col("ts") < pl.col("oldest") if live else pl.lit(value=True)
    first = pl.col("oldest").is_null()
    published = at if lag is None else pl.when(first | past).then(pl.col("ts") + lag).otherwise(at)
    told_now = pl.min_horizontal(pl.coalesce("known_at", published), at)
    revised = pl.max_horizontal(at, pl.col("changed") + timedelta(microseconds=1))  # even if the clock went back
    known = pl.when(pl.col("old").is_null()).then(told_now).otherwise(revised)
    found = fresh.with_columns(known_at=known.cast(TS)).select(list(RAW_SENTIMENT))
    return found.unique([*key, "known_at"], keep="last", maintain_order=True)


def as_known(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores as they came to be known: at any time, the last row known by then is the newest score.

    A revision of a time that a newer score has followed changes nothing that one would act on, and is left out.

    Parameters
    ----------
    scores
        Rows of the table ``sentiment``.

    Returns
    -------
    DataFrame
        The same columns, sorted by ``known_at``: ready for an as-of join by scope and source.
    """
    ordered = scores.sort("known_at", "ts")
    return ordered.filter(pl.col("ts") >= pl.col("ts").cum_max().over("scope", "source"))

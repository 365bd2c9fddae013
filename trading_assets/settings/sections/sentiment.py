"""Where sentiment scores come from: one section per kind of provider."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trading_assets.settings.sections.section import Positive, Section


class _Provider(Section):
    publication_lag_s: float | None = Field(
        None,
        ge=0,
        description="How long after `ts` a score of the past could be read; empty: known when it was fetched.",
    )


class _Scaled(_Provider):
    low: float = Field(-1.0, description="The provider's value for -1 (fear).")
    high: float = Field(1.0, description="The provider's value for 1 (greed).")

    @model_validator(mode="after")
    def _not_flat(self) -> Self:
        if self.low == self.high:
            raise ValueError(f"low and high are both {self.low}: there is nothing to scale")
        return self


class SentimentFiles(_Scaled):
    """Scores in Parquet, CSV, Feather or JSON-lines files; needs a column `known_at`, or `publication_lag_s`."""

    kind: Literal["files"]
    path: str = Field(description="Path or glob; relative to the project; $VARIABLES expand.")
    columns: dict[str, str] = Field({}, description="ts, score, scope, known_at -> the file's column.")
    scope: str = Field("*", description="The scope of files without a column for it: a base currency, * for all.")
    time_zone: str | None = Field(None, description="Zone of times that carry none, e.g. UTC; empty refuses them.")


class SentimentHttp(_Scaled):
    """Scores from an address that answers JSON; where values stand is said in JMESPath, e.g. `data.items`."""

    kind: Literal["http"]
    url: str = Field(pattern=r"^https?://", description="Address; {scope} in it is replaced, one request per scope.")
    scopes: list[str] = Field(["*"], min_length=1, description="Base currencies, or * for the whole market.")
    rows: str = Field("@", description="The list of scores in the answer; a single object counts as a list of one.")
    ts: str = Field("ts", description="The time in a row: ISO 8601 with an offset, or an epoch number.")
    score: str = Field("score", description="The score in a row.")
    scope: str | None = Field(None, description="The scope in a row; empty: the scope that was asked for.")
    key_header: str | None = Field(
        None, description="Header that carries the key from TRADING_KEYS__<NAME>__API_KEY, NAME as under `sentiment`."
    )
    max_attempts: int = Field(5, ge=1, description="How often a request is made before giving up.")
    first_wait_s: Positive = Field(1.0, description="Wait before the second attempt; doubles with each further one.")


class SentimentPlugin(_Provider):
    """A class of your own; see docs/how-to/add-a-sentiment-provider.md."""

    kind: Literal["python"]
    provider: str = Field(pattern=r"^[\w.]+:\w+$", description="module:Class.")
    options: dict[str, Any] = Field({}, description="Keyword arguments of the class.")


SentimentSettings = Annotated[SentimentFiles | SentimentHttp | SentimentPlugin, Field(discriminator="kind")]

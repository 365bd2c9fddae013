"""Where candles come from: one section per kind of source, and the place where further kinds are added."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.section import Positive


class SourceSettings(KindSection):
    """What every source has: a kind."""


class SampleSource(SourceSettings):
    """The seeded synthetic source."""

    kind: Literal["sample"] = "sample"
    seed: int = 7
    days: int = Field(150, ge=1, description="Length of the synthetic history from `history.start`.")


class FilesSource(SourceSettings):
    """Parquet, CSV, Feather or zipped CSV files of candles."""

    kind: Literal["files"] = "files"
    paths: dict[str, str] = Field({}, description="Market -> path or glob; relative to the project; $VARIABLES expand.")
    columns: dict[str, str] = Field({}, description="Our column -> the file's column, where they differ.")
    funding: dict[str, str] = Field({}, description="Perpetual -> path or glob of its funding rates.")
    funding_columns: dict[str, str] = Field({}, description="Our column -> that of the files of funding rates.")
    time_zone: str | None = Field(None, description="Zone of timestamps that carry none, e.g. UTC; empty refuses them.")


class CcxtSource(SourceSettings):
    """Any exchange that ccxt knows."""

    kind: Literal["ccxt"] = "ccxt"
    exchange: str = Field(description="ccxt's id, e.g. binanceusdm, okx, kraken.")
    page_limit: int | None = Field(None, ge=1, description="Candles per request; empty for what the exchange allows.")
    base_url: str | None = Field(None, description="Another address for the exchange's REST API.")
    max_attempts: int = Field(5, ge=1, description="How often a request is made before giving up.")
    first_wait_s: Positive = Field(1.0, description="Wait before the second attempt; doubles with each further one.")
    timeout_s: Positive = Field(10.0, description="How long an answer may take.")
    rate_limit: bool = Field(True, description="Keep to the exchange's request limits; your own server has none.")


class PolygonSource(SourceSettings):
    """Polygon.io's aggregates; the key is read from the environment (``TRADING_KEYS__POLYGON__API_KEY``)."""

    kind: Literal["polygon"] = "polygon"
    asset_class: Literal["crypto", "stocks"] = "crypto"
    tickers: dict[str, str] = Field({}, description="Market -> Polygon's ticker, where it does not follow, e.g. BRK.B.")
    adjusted: bool = Field(True, description="Stocks: whether prices before a split are divided by its ratio.")
    base_url: str | None = Field(None, description="Another address for the REST API.")
    max_attempts: int = Field(7, ge=1, description="How often a request is made before giving up.")
    first_wait_s: Positive = Field(2.0, description="Wait before the second attempt; doubles with each further one.")


SOURCES = Kinds(SourceSettings, "a source", SampleSource, FilesSource, CcxtSource, PolygonSource)

Source = Annotated[SerializeAsAny[SourceSettings], SOURCES]
"""A source of candles: parameters by ``kind``."""

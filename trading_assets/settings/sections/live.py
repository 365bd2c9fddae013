"""The node and the local exchange that it rehearses on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from trading_assets.settings.sections.section import Positive, Section


class FeedSettings(Section):
    """What a venue's bars must be like to be traded on, market by market."""

    max_move_pct: Positive = Field(
        30.0,
        description="A price farther from the last plausible close is implausible; of 290,000 15-minute bars of eight "
        "large markets (2023-04 to 2024-04) two moved farther. Longer bars may move farther, by the square root of "
        "their length: 60 % in 1h, 120 % in 4h, 294 % in 1d.",
    )
    max_step_pct: Positive = Field(
        100.0, description="A lasting step beyond this (split, new denomination) is left to a person."
    )
    agreeing_bars: int = Field(5, ge=1, description="So many bars in a row that agree end a quarantine.")
    clock_tolerance_s: Positive = Field(
        5.0, description="A bar that ends later than this by our clock is of the future."
    )
    max_silence_s: Positive = Field(150.0, description="A market is silent when a bar is overdue by this.")


class NodeSettings(Section):
    """The live node."""

    moved: ClassVar[Mapping[str, str]] = {"risk": "`trading.risk`"}

    venue: Literal["binance", "bybit", "okx", "kraken"] = "binance"
    environment: Literal["replay", "testnet", "live"] = "replay"
    mode: Literal["paper"] = "paper"
    starting_balance: Positive = 100_000.0
    base_url_http: str | None = Field(None, description="Another REST address; the replay server sets it.")
    base_url_ws: str | None = None
    poll_deployment_s: Positive = 1.0
    connect_timeout_s: int = Field(30, ge=1, description="How long the venue may take to answer at a start.")
    connect_attempts: int = Field(20, ge=1, description="Starts before the node gives up; pauses of 1, 2, 4 ... 60 s.")
    instrument_refresh_s: Positive = Field(60.0, description="How often the venue's instruments are loaded again.")
    min_free_mb: Positive = Field(500.0, description="`trading status --check` reports a disk with less space.")
    max_decision_delay_s: Positive = Field(30.0, description="A bar that comes later is not entered on (live).")
    restarts_per_hour: int = Field(10, ge=0, description="Deaths after which trading paper --supervised gives up.")
    journal_features: bool = Field(
        True, description="Journal the feature row of each decision, for drift: 1.5 kB on disk with 120 features."
    )
    keep_feature_rows_days: Positive = Field(
        30.0, description="Older ones are deleted from the journal; the table live_features keeps what was loaded."
    )
    feed: FeedSettings = FeedSettings()


class RecordSettings(Section):
    """The recorder of order books and public trades."""

    depth: int = Field(20, ge=1, le=100, description="Levels of each side in a snapshot.")
    book_interval_s: Positive = Field(1.0, description="A snapshot at most this often; none where nothing changed.")
    flush_s: Positive = Field(1.0, description="What is not on disk yet: the most that a kill can lose.")
    segment_s: Positive = Field(60.0, description="Age at which a segment is closed and can be loaded.")
    give_up_s: Positive = Field(120.0, description="End with an error when nothing came for this long.")
    keep_segments: bool = Field(False, description="Keep loaded segments in loaded/ instead of deleting them.")


class ReplaySettings(Section):
    """The local exchange that replays stored candles."""

    host: str = "127.0.0.1"
    port: int = Field(8790, ge=0, le=65535)
    speed: Positive = Field(60.0, description="Replayed seconds per second.")

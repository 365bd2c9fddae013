"""The node and the local exchange that it rehearses on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from pydantic import Field, field_validator

from trading_assets.settings.sections.section import Fraction, Positive, Section

DATA_ONLY: Final = ("bitget",)
"""Exchanges whose candles and funding are read, and for which there is no adapter of the engine."""


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
    mode: Literal["paper", "shadow", "live"] = Field(
        "paper",
        description="Who fills orders: the node's own sandbox; nobody (fills are hypothetical, nothing is sent); the "
        "venue. `live` with the environment `replay` is a rehearsal, on an address of this machine only.",
    )
    account: str = Field(
        "main",
        pattern=r"^[a-z0-9][a-z0-9-]{0,15}$",
        description="Our name of the venue's account: a part of every order's id, and what `trading live "
        "--i-accept-real-orders` has to name. One node trades an account.",
    )
    adopt: bool = Field(
        False,
        description="Take over what the account holds on the node's markets and no plan of the journal explains: it is "
        "closed at the market, and orders that rest there are canceled. Otherwise such a market is not traded.",
    )
    leverage: int | None = Field(
        None,
        ge=1,
        le=125,
        description="Set at the venue for each perpetual at a start, or refused; empty: as the account has it.",
    )
    margin_mode: Literal["cross", "isolated"] = Field(
        "cross", description="Of the account's perpetuals: set at the venue at a start, or refused."
    )
    max_clock_skew_s: Positive = Field(
        1.0, description="A start of `mode: live` is refused where this machine's clock differs more from the venue's."
    )
    reconcile_s: Positive = Field(60.0, description="How often journal, engine and venue are compared (mode live).")
    starting_balance: Positive = Field(100_000.0, description="Of modes paper and shadow, in quote currency.")
    base_url_http: str | None = Field(None, description="Another REST address; the replay server sets it.")
    base_url_ws: str | None = Field(
        None, description="Another websocket address; of Bybit without a path, as each of its streams has its own."
    )
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
    watch_spreads: bool | None = Field(
        None,
        description="Listen to the order books of all traded markets, so that `trading.protections.spread_bps` is "
        "measured. Empty: where real orders are sent. Books that a model reads are listened to anyway.",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Serve Prometheus metrics on this port (docs use 9801). Empty: none."
    )
    metrics_host: str = Field("127.0.0.1", description="The address that they are served on: this machine alone.")
    feed: FeedSettings = FeedSettings()

    @field_validator("venue", mode="before")
    @classmethod
    def _takes_orders(cls, value: object) -> object:
        """Say of a venue that is known for its data why no node trades there."""
        if value in DATA_ONLY:
            raise ValueError(f"{value} is for data only: no adapter trades there; use binance, bybit, okx or kraken")
        return value


class RecordSettings(Section):
    """The recorder of order books and public trades."""

    depth: int = Field(20, ge=1, le=100, description="Levels of each side in a snapshot.")
    book_interval_s: Positive = Field(1.0, description="A snapshot at most this often; none where nothing changed.")
    flush_s: Positive = Field(1.0, description="What is not on disk yet: the most that a kill can lose.")
    segment_s: Positive = Field(60.0, description="Age at which a segment is closed and can be loaded.")
    give_up_s: Positive = Field(120.0, description="End with an error when nothing came for this long.")
    candles: bool = Field(
        False,
        description="Store the candles that the venue streams as they close, in each market's own timeframe; the "
        "hourly run replaces them by the venue's history.",
    )
    keep_segments: bool = Field(False, description="Keep loaded segments in loaded/ instead of deleting them.")


class ReplaySettings(Section):
    """The local exchange that replays stored candles."""

    host: str = "127.0.0.1"
    port: int = Field(8790, ge=0, le=65535)
    speed: Positive = Field(60.0, description="Replayed seconds per second.")
    volume_share: Fraction = Field(
        1.0, description="The most that the account's orders take of a candle's volume, where they are filled in parts."
    )
    latency_ms: float = Field(0.0, ge=0, description="Market time that an order takes to the local exchange.")

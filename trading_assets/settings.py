"""Settings: ``trading.yaml`` (the base) < environment ``TRADING_...`` < command flags, validated once.

Nested names join with a double underscore: ``TRADING_STORE__URL``, ``TRADING_GATES__MIN_SHARPE``.
Secrets never stand here: exchange keys are read from the environment where they are used.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadableVariable

from trading_assets.candles import Market, timeframe_minutes
from trading_assets.errors import SettingsError

SETTINGS_FILE_VARIABLE = "TRADING_SETTINGS"
KEYS_PREFIX = "TRADING_KEYS__"
"""Environment variables with this prefix hold exchange keys: read where they are used, never shown."""
DEFAULT_SETTINGS_FILE = Path("trading.yaml")

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Least and most of minute, hour, day, month and weekday."""


def _fits_cron(field: str, bounds: tuple[int, int]) -> bool:
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
        if match is None:
            return False
        numbers = [int(number) for number in match.groups()[:2] if number]
        if numbers != sorted(numbers) or any(not bounds[0] <= number <= bounds[1] for number in numbers):
            return False
    return True


class Section(BaseModel):
    """A part of the settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class History(Section):
    """The months that exist as partitions."""

    start: date = date(2025, 1, 1)
    end: date | None = Field(None, description="Exclusive; leave empty for a history that goes on today.")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end} is not after start {self.start}")
        return self


class MarketSettings(Section):
    """One market and the source of its candles."""

    source: str = Field(description="A name under `sources`.")
    timeframe: str = Field("1m", description="The finest timeframe that the source has.")

    @field_validator("timeframe")
    @classmethod
    def _known(cls, value: str) -> str:
        timeframe_minutes(value)
        return value


class SampleSource(Section):
    """The seeded synthetic source."""

    kind: Literal["sample"]
    seed: int = 7
    days: int = Field(150, ge=1, description="Length of the synthetic history from `history.start`.")


class FilesSource(Section):
    """Parquet or CSV files of candles."""

    kind: Literal["files"]
    paths: dict[str, str] = Field(description="Market -> path or glob; relative to the project; $VARIABLES expand.")
    columns: dict[str, str] = Field({}, description="Our column -> the file's column, where they differ.")
    time_zone: str | None = Field(None, description="Zone of timestamps that carry none, e.g. UTC; empty refuses them.")


class CcxtSource(Section):
    """Any exchange that ccxt knows."""

    kind: Literal["ccxt"]
    exchange: str = Field(description="ccxt's id, e.g. binanceusdm, okx, kraken.")
    page_limit: int = Field(1000, ge=1)
    base_url: str | None = Field(None, description="Another address for the exchange's REST API.")
    max_attempts: int = Field(5, ge=1, description="How often a request is made before giving up.")
    first_wait_s: Positive = Field(1.0, description="Wait before the second attempt; doubles with each further one.")
    rate_limit: bool = Field(True, description="Keep to the exchange's request limits; your own server has none.")


Source = Annotated[SampleSource | FilesSource | CcxtSource, Field(discriminator="kind")]


class StoreSettings(Section):
    """Where the tables live."""

    url: str | None = Field(None, description="duckdb:///path; empty means market.duckdb in the data folder.")
    lock_timeout_s: Positive = 60.0


class CandleGates(Section):
    """Limits of the candle checks."""

    max_gap_share: Fraction = 0.02


class LabelSettings(Section):
    """Triple barrier: which comes first, take-profit, stop-loss or the end of the horizon."""

    take_profit_pct: Positive = 2.0
    stop_loss_pct: Positive = 1.0
    horizon_bars: int = Field(24, ge=1, description="In bars of 15 minutes.")
    ambiguous: Literal["worst_case", "best_case", "drop"] = "worst_case"
    min_class_share: Fraction = Field(0.02, description="The label balance gate: the rarest class.")


class WalkForwardSettings(Section):
    """Training and test windows; purge and embargo are times, never row numbers."""

    train_days: Positive = 180.0
    anchored: bool = Field(False, description="Train from the start of the history on, instead of on the newest days.")
    purge_days: float = Field(2.0, ge=0)
    embargo_days: float = Field(1.0, ge=0)
    test_days: Positive = 30.0


class LightGBMSettings(Section):
    """The learner's parameters; training is deterministic.

    The defaults are cautious: outcomes 24 bars ahead overlap, so 300 rows are about a dozen independent ones.
    """

    num_boost_round: int = Field(400, ge=1)
    learning_rate: Positive = 0.03
    num_leaves: int = Field(4, ge=2)
    min_data_in_leaf: int = Field(300, ge=1)
    max_bin: int = Field(63, ge=2, description="Steps that a feature is cut into: fewer are faster and fit less noise.")
    feature_fraction: Fraction = 0.5
    bagging_fraction: Fraction = 0.5
    lambda_l2: float = Field(50.0, ge=0)
    seed: int = 7


class ModelSettings(Section):
    """A named model specification: what it is trained on and how."""

    markets: list[str] = Field(min_length=1)
    walk_forward: WalkForwardSettings = WalkForwardSettings()
    lightgbm: LightGBMSettings = LightGBMSettings()
    holdout_days: float = Field(0, ge=0, description="The newest days, kept from training for a rehearsal on paper.")
    threshold: Fraction = Field(0.55, description="Trade where the probability of take-profit is at least this.")


class GateSettings(Section):
    """What a candidate's out-of-sample backtest must reach to be approved."""

    min_sharpe: float = 1.2
    min_win_rate: Fraction = 0.45
    min_profit_factor: float = 1.5
    max_drawdown: Fraction = 0.15
    min_trades: int = 30


class BacktestSettings(Section):
    """Costs and capital of the simulated venue."""

    starting_balance: Positive = 100_000.0
    position_share: Fraction = Field(0.10, description="Notional of one position as a share of equity.")
    maker_fee_bps: float = Field(2.0, ge=0)
    taker_fee_bps: float = Field(5.0, ge=0)
    slippage_probability: Fraction = Field(0.5, description="Chance that a market order slips by one tick.")
    latency_ms: Positive = 100.0
    seed: int = 7


class RiskSettings(Section):
    """The node's own limits, checked before every order."""

    max_position_notional: Positive = 20_000.0
    max_daily_loss: Positive = 2_000.0
    max_orders_per_minute: int = Field(10, ge=1)


class NodeSettings(Section):
    """The live node."""

    venue: Literal["binance", "bybit", "okx", "kraken"] = "binance"
    environment: Literal["replay", "testnet", "live"] = "replay"
    mode: Literal["paper"] = "paper"
    starting_balance: Positive = 100_000.0
    base_url_http: str | None = Field(None, description="Another REST address; the replay server sets it.")
    base_url_ws: str | None = None
    poll_deployment_s: Positive = 1.0
    max_decision_delay_s: Positive = Field(30.0, description="A bar that comes later is not entered on (live).")
    risk: RiskSettings = RiskSettings()


class ReplaySettings(Section):
    """The local exchange that replays stored candles."""

    host: str = "127.0.0.1"
    port: int = Field(8790, ge=0, le=65535)
    speed: Positive = Field(60.0, description="Replayed seconds per second.")


class ScheduleSettings(Section):
    """When the schedules fire (cron, UTC)."""

    candles: str = "5 * * * *"
    retrain: str = "30 2 * * *"

    @field_validator("candles", "retrain")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        fields = value.split()
        if len(fields) != len(_CRON) or not all(map(_fits_cron, fields, _CRON)):
            raise ValueError("not five cron fields of numbers: minute, hour, day, month, weekday")
        return value


class MlflowSettings(Section):
    """The tracking server and model registry."""

    tracking_uri: str | None = Field(None, description="Empty means SQLite in the data folder.")


class LogSettings(Section):
    """Logs go to the terminal and to rotated files under data/logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["human", "json"] = "human"


class Settings(BaseSettings):
    """Everything a user may set. Read with :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="TRADING_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path("data")
    history: History = History()
    sources: dict[str, Source]
    markets: dict[str, MarketSettings] = Field(min_length=1)
    models: dict[str, ModelSettings] = Field(min_length=1)
    store: StoreSettings = StoreSettings()
    candle_gates: CandleGates = CandleGates()
    labels: LabelSettings = LabelSettings()
    gates: GateSettings = GateSettings()
    backtest: BacktestSettings = BacktestSettings()
    node: NodeSettings = NodeSettings()
    replay: ReplaySettings = ReplaySettings()
    schedules: ScheduleSettings = ScheduleSettings()
    mlflow: MlflowSettings = MlflowSettings()
    logs: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, market in self.markets.items():
            Market.parse(name)
            if market.source not in self.sources:
                raise ValueError(f"market {name}: no source {market.source!r}; known: {sorted(self.sources)}")
        for name, model in self.models.items():
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) is None:
                raise ValueError(f"model {name!r}: write a name of letters, digits, - _ and . (it names folders)")
            for wanted in model.markets:
                if wanted not in self.markets:
                    raise ValueError(f"model {name}: no market {wanted!r}; known: {sorted(self.markets)}")
            self._check_candles(name, model)
        return self

    def _check_candles(self, name: str, model: ModelSettings) -> None:
        timeframes = sorted({self.markets[market].timeframe for market in model.markets})
        if len(timeframes) > 1:
            raise ValueError(
                f"model {name}: its markets have candles of {', '.join(timeframes)}; give it one timeframe"
            )
        if 15 % timeframe_minutes(timeframes[0]):
            raise ValueError(f"model {name}: bars of 15 minutes cannot be built from {timeframes[0]} candles")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file."""
        return (init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=settings_file()))

    @property
    def history_start(self) -> datetime:
        """The first instant of the history."""
        return datetime(self.history.start.year, self.history.start.month, self.history.start.day, tzinfo=UTC)

    @property
    def store_url(self) -> str:
        """The store's address; the embedded default is a file in the data folder."""
        return self.store.url or f"duckdb:///{self.data_dir / 'market.duckdb'}"

    @property
    def live_dir(self) -> Path:
        """What the node reads and writes: deployment manifest, journal, kill switch."""
        return self.data_dir / "live"

    @property
    def bundles_dir(self) -> Path:
        """Model bundles, one folder per model and version."""
        return self.data_dir / "bundles"

    @property
    def reports_dir(self) -> Path:
        """Backtest reports."""
        return self.data_dir / "reports"


PROJECT_ROOT = Path(__file__).resolve().parents[1]


def from_root(path: str | Path) -> Path:
    """A path as absolute; relative ones start at the project's folder, wherever the process runs.

    ``~`` and environment variables are expanded.

    Raises
    ------
    SettingsError
        If the path names an environment variable that is not set.
    """
    expanded = os.path.expandvars(path)
    if missing := re.search(r"\$\{?(\w+)", expanded):
        raise SettingsError(f"the environment variable {missing[1]} is not set", where=str(path))
    return PROJECT_ROOT / Path(expanded).expanduser()


def settings_file() -> Path:
    """The settings file in force: ``TRADING_SETTINGS`` or ``trading.yaml``."""
    return from_root(os.environ.get(SETTINGS_FILE_VARIABLE) or DEFAULT_SETTINGS_FILE)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` (command flags) win over environment and file.

    Raises
    ------
    SettingsError
        Names each offending key, its value and what is allowed.
    """
    file = settings_file()
    if not file.is_file():
        raise SettingsError("no such settings file", where=str(file), remedy=f"set {SETTINGS_FILE_VARIABLE} to one")
    _check_environment()
    try:
        settings = Settings(**overrides)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"not valid YAML: {' '.join(str(error).split())}", where=str(file)) from None
    except SettingsError as error:  # from a validator that parses a market or a timeframe
        raise SettingsError(error.what, where=str(file), remedy=error.remedy) from None
    except ValidationError as error:
        raise SettingsError(_explain(error), where=str(file), remedy="see the comments in trading.yaml") from None
    except UnreadableVariable as error:  # e.g. TRADING_MARKETS that is no JSON
        raise SettingsError(str(error), where="environment", remedy="write such a variable as JSON") from None
    except (TypeError, ValueError):  # what pydantic-settings raises on YAML without keys
        raise SettingsError("not a mapping of keys", where=str(file), remedy="see trading.yaml") from None
    return settings.model_copy(update={"data_dir": from_root(settings.data_dir)})


def _check_environment() -> None:
    """Refuse a ``TRADING_`` variable that sets nothing: pydantic passes over names that it does not know."""
    for variable in sorted(os.environ):
        section = variable.removeprefix("TRADING_").split("__")[0].lower()
        if variable.startswith("TRADING_") and section not in {*Settings.model_fields, "settings", "keys"}:
            raise SettingsError(
                f"no setting {section!r}",
                where=f"environment variable {variable}",
                remedy=f"unset it, or name one of {', '.join(Settings.model_fields)}",
            )


def _explain(error: ValidationError) -> str:
    parts = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "settings"
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown key {key!r}")
        elif item["type"] == "missing":
            parts.append(f"{key} is required")
        else:
            given = "" if isinstance(item["input"], dict) else f" (given {item['input']!r})"
            parts.append(f"{key}: {item['msg'].removeprefix('Value error, ')}{given}")
    return "; ".join(parts)

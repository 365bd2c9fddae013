"""Settings: ``trading.yaml`` (the base) < environment ``TRADING_...`` < command flags, validated once.

Nested names join with a double underscore: ``TRADING_STORE__URL``, ``TRADING_GATES__MIN_SHARPE``.
Secrets never stand here: exchange keys are read from the environment where they are used.
"""

from trading_assets.core.secrets import KEYS_PREFIX
from trading_assets.settings.origin import carry
from trading_assets.settings.paths import PROJECT_ROOT, SETTINGS_FILE_VARIABLE, from_root, settings_file
from trading_assets.settings.reading import load_settings
from trading_assets.settings.root import LogSettings, MlflowSettings, Settings
from trading_assets.settings.sections.alerts import (
    AlertSettings,
    ChannelSettings,
    EscalationSettings,
    QuietHours,
)
from trading_assets.settings.sections.confidence import ConfidenceSettings
from trading_assets.settings.sections.data import (
    FetchSettings,
    History,
    MarketEvent,
    MarketSettings,
    ScheduleSettings,
    StoreSettings,
)
from trading_assets.settings.sections.drift import DriftSettings
from trading_assets.settings.sections.estimators import (
    CatBoostSettings,
    EstimatorSettings,
    HistGradientBoostingSettings,
    LightGBMSettings,
    LogisticSettings,
    LSTMSettings,
    StackSettings,
    XGBoostSettings,
    add_estimator_settings,
    estimator_kinds,
)
from trading_assets.settings.sections.features import FeatureSettings
from trading_assets.settings.sections.labels import (
    DEFAULT_LABELS,
    AnyLabels,
    ForwardReturnSettings,
    LabelSettings,
    MetaLabelSettings,
    SamplingSettings,
    TrendScanningSettings,
    add_label_settings,
    label_kinds,
    read_labels,
)
from trading_assets.settings.sections.live import FeedSettings, NodeSettings, RecordSettings, ReplaySettings
from trading_assets.settings.sections.portfolio import PortfolioSettings
from trading_assets.settings.sections.promotion import PromotionSettings
from trading_assets.settings.sections.protections import ProtectionLimit, ProtectionSettings
from trading_assets.settings.sections.quality import QualitySettings, Severity
from trading_assets.settings.sections.ranges import Range
from trading_assets.settings.sections.research import (
    GateOverrides,
    GateSettings,
    MetricLimit,
    WalkForwardSettings,
)
from trading_assets.settings.sections.rules import (
    AnyRule,
    DonchianSettings,
    EmaCrossRsiSettings,
    GridSettings,
    MacdBollingerSettings,
    MeanReversionSettings,
    MomentumSettings,
    RuleSettings,
    add_rule_settings,
    rule_kinds,
)
from trading_assets.settings.sections.search import SearchSettings
from trading_assets.settings.sections.sentiment import SentimentFiles, SentimentHttp, SentimentPlugin
from trading_assets.settings.sections.sizing import (
    AnySizing,
    EquityShareSettings,
    KellySettings,
    RiskPerTradeSettings,
    SizingSettings,
    VolatilityTargetSettings,
)
from trading_assets.settings.sections.sources import (
    CcxtSource,
    FilesSource,
    PolygonSource,
    SampleSource,
    Source,
    SourceSettings,
)
from trading_assets.settings.sections.strategies import (
    AnyStrategy,
    ModelSettings,
    RuleStrategySettings,
    StrategySettings,
)
from trading_assets.settings.sections.trading import (
    BacktestSettings,
    CostSettings,
    RiskSettings,
    SimulationSettings,
    TradingSettings,
)

__all__ = [
    "DEFAULT_LABELS",
    "GateOverrides",
    "SimulationSettings",
    "SizingSettings",
    "TradingSettings",
    "KEYS_PREFIX",
    "PROJECT_ROOT",
    "ProtectionLimit",
    "ProtectionSettings",
    "SETTINGS_FILE_VARIABLE",
    "AlertSettings",
    "AnyLabels",
    "AnyRule",
    "AnySizing",
    "EquityShareSettings",
    "KellySettings",
    "RiskPerTradeSettings",
    "VolatilityTargetSettings",
    "AnyStrategy",
    "BacktestSettings",
    "CatBoostSettings",
    "CcxtSource",
    "ChannelSettings",
    "CostSettings",
    "DonchianSettings",
    "DriftSettings",
    "EmaCrossRsiSettings",
    "ConfidenceSettings",
    "EscalationSettings",
    "EstimatorSettings",
    "FeatureSettings",
    "FetchSettings",
    "FilesSource",
    "FeedSettings",
    "ForwardReturnSettings",
    "GateSettings",
    "GridSettings",
    "History",
    "LabelSettings",
    "LightGBMSettings",
    "LogSettings",
    "HistGradientBoostingSettings",
    "LogisticSettings",
    "MacdBollingerSettings",
    "LSTMSettings",
    "MarketEvent",
    "MarketSettings",
    "MeanReversionSettings",
    "MetaLabelSettings",
    "MlflowSettings",
    "MetricLimit",
    "ModelSettings",
    "MomentumSettings",
    "NodeSettings",
    "PolygonSource",
    "PortfolioSettings",
    "PromotionSettings",
    "QualitySettings",
    "QuietHours",
    "Range",
    "RecordSettings",
    "ReplaySettings",
    "RiskSettings",
    "RuleSettings",
    "RuleStrategySettings",
    "SampleSource",
    "SamplingSettings",
    "ScheduleSettings",
    "SearchSettings",
    "SentimentFiles",
    "SentimentHttp",
    "SentimentPlugin",
    "Settings",
    "Severity",
    "Source",
    "SourceSettings",
    "StackSettings",
    "StrategySettings",
    "StoreSettings",
    "TrendScanningSettings",
    "WalkForwardSettings",
    "XGBoostSettings",
    "add_estimator_settings",
    "add_label_settings",
    "add_rule_settings",
    "carry",
    "estimator_kinds",
    "from_root",
    "label_kinds",
    "load_settings",
    "read_labels",
    "rule_kinds",
    "settings_file",
]

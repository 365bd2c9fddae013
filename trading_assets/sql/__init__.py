"""The SQL models in ``dbt_like_sql/``: one SELECT per file, checked when loaded, run with ``$name`` parameters."""

from trading_assets.sql.expectations import Outcome, check_expectations
from trading_assets.sql.loading import MODELS_FOLDER, SqlModels, load_models
from trading_assets.sql.model import Expectation, SourceColumn, SqlModel
from trading_assets.sql.running import build_bars, run_model, run_window

__all__ = [
    "MODELS_FOLDER",
    "Expectation",
    "Outcome",
    "SourceColumn",
    "SqlModel",
    "SqlModels",
    "build_bars",
    "check_expectations",
    "load_models",
    "run_model",
    "run_window",
]

"""Where the project, its settings file and its relative paths are; see :mod:`trading_assets.core.paths`."""

from trading_assets.core.paths import (
    DEFAULT_SETTINGS_FILE,
    PROJECT_ROOT,
    SETTINGS_FILE_VARIABLE,
    from_root,
    settings_file,
)

__all__ = ["DEFAULT_SETTINGS_FILE", "PROJECT_ROOT", "SETTINGS_FILE_VARIABLE", "from_root", "settings_file"]

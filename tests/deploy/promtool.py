"""Prometheus' own checkers, where they are installed or the set-up has unpacked them."""

from __future__ import annotations

import shutil

import pytest

from trading_assets.settings import PROJECT_ROOT

_UNPACKED = PROJECT_ROOT / ".tools" / "debian" / "usr" / "bin"  # by the set-up
PROMTOOL, AMTOOL = (shutil.which(name) or shutil.which(name, path=_UNPACKED) for name in ("promtool", "amtool"))
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool (Debian: apt install prometheus)")
needs_amtool = pytest.mark.skipif(AMTOOL is None, reason="no amtool (Debian: apt install prometheus-alertmanager)")

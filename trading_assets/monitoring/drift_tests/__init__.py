"""Drift tests: one file and one registration each; importing this registers those of the project."""

from trading_assets.monitoring.drift_tests import adwin, ks, psi
from trading_assets.monitoring.drift_tests.contract import DriftTest
from trading_assets.monitoring.drift_tests.registry import drift_test, known_tests, register

__all__ = ["DriftTest", "adwin", "drift_test", "known_tests", "ks", "psi", "register"]

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import feature_names, fingerprint, lookback_bars, registry
from trading_assets.features.framework.registry import Registry
from trading_assets.features.reference import markdown

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

PROJECT = Path(__file__).resolve().parents[3]


def test_there_are_features_of_every_kind_with_systematic_names():
    groups = {feature.family for feature in registry(M15).values()}
    assert {"trend", "momentum", "volatility", "volume", "levels", "microstructure", "regime", "calendar"} < groups
    assert {"higher", "patterns", "statistics", "leader", "stored"} < groups
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in feature_names(M15))
    assert {"rsi_14", "ema_200_distance", "macd_hist", "natr_14", "adx_14"} <= set(feature_names(M15))


def test_every_feature_says_what_it_is():
    for feature in registry(M15).values():
        assert feature.description.endswith("."), feature.name
        assert feature.unit, feature.name
        assert feature.source, feature.name
        assert feature.inputs, feature.name
        assert 1 <= feature.lookback <= LOOKBACK_BARS <= 2_100


def _module(source: str) -> types.ModuleType:
    """A module as if written to a file: its source can be inspected."""
    module = types.ModuleType(f"module_{abs(hash(source))}")
    sys.modules[module.__name__] = module
    import linecache

    name = f"<{module.__name__}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module.__file__ = name
    exec(compile(source, name, "exec"), module.__dict__)
    return module


_SOURCE = '''
from trading_assets.features.framework.registry import Registry

registry = Registry()


@registry.feature("x_{bars}", inputs=["close"], lookback=1, unit="u", source="s", each=[{"bars": 3}])
def x(frame, bars):
    """Text."""
    return frame.close * bars
'''


def _fingerprint(old: str = "", new: str = "") -> str:
    return _module(_SOURCE.replace(old, new) if old else _SOURCE).registry.fingerprint()


def test_the_fingerprint_changes_with_names_parameters_look_backs_and_code():
    changes = [("x_{bars}", "y_{bars}"), ('"bars": 3', '"bars": 4'), ("lookback=1", "lookback=2"), ("* bars", "+ bars")]
    assert len({_fingerprint(), *(_fingerprint(old, new) for old, new in changes)}) == 1 + len(changes)


def test_the_fingerprint_ignores_docstrings_comments_and_formatting():
    assert _fingerprint() == _fingerprint("Text.", "Other text.") == _fingerprint("* bars", "*  bars  # so")


@pytest.mark.slow
def test_the_fingerprint_is_the_same_in_every_process():
    command = "from trading_assets.features import fingerprint; print(fingerprint())"
    for seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", command],
            cwd=PROJECT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stdout.strip() == fingerprint()
    assert re.fullmatch(r"[0-9a-f]{64}", fingerprint())


def test_importing_the_features_loads_nothing_heavy():
    command = "import sys, trading_assets.features; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True)
    heavy = {"pandera", "lightgbm", "nautilus_trader", "ccxt", "mlflow", "dagster", "sklearn", "pandas", "matplotlib"}
    heavy |= {"numba", "scipy"}
    assert heavy.isdisjoint(printed.stdout.split())


def test_a_name_that_is_taken_and_an_unknown_input_are_refused():
    own = Registry()
    add = own.feature("x", inputs=["close"], lookback=1, unit="u", source="s")
    add(lambda frame: frame.close)
    with pytest.raises(ValueError, match="the feature 'x' is there already"):
        add(lambda frame: frame.open)
    with pytest.raises(ValueError, match="unknown inputs"):
        own.feature("y", inputs=["price"], lookback=1, unit="u", source="s")(lambda frame: frame.close)


@pytest.mark.parametrize(
    ("names", "facts", "message"),
    [
        (["y_{n}"], {"each": [{"bars": 3}]}, "y_{n}: no such parameter; there are bars"),
        (["y"], {"lookback": 0}, "a look-back of 0 bars; give at least 1"),
        (["y_{bars}"], {"each": [{"bars": 0}], "lookback": lambda bars: bars}, "a look-back of 0 bars"),
        (["y", "z"], {"unit": ("u",)}, "shorter"),
        (["y"], {"low": (0, 1)}, "longer"),
    ],
)
def test_facts_that_do_not_fit_are_refused(names, facts, message):
    given = {"inputs": ["close"], "lookback": 1, "unit": "u", "source": "s", **facts}
    with pytest.raises(ValueError, match=message):
        Registry().feature(*names, **given)(lambda frame, **_: frame.close)


def test_one_call_may_give_features_of_different_units_and_ranges():
    own = Registry()
    own.feature("a", "b", inputs=["close"], lookback=1, source="s", unit=("u", "v"), low=(None, 0), high=1)(
        lambda frame: (frame.close, frame.open)
    )
    assert [(one.unit, one.low, one.high) for one in own.on(M15).features.values()] == [("u", None, 1), ("v", 0, 1)]


def test_the_reference_page_is_current():
    page = PROJECT / "docs" / "features.md"
    assert page.read_text() == markdown(), "run: make docs"
    for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link

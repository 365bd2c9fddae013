"""`plugins:` in the settings: loaded before the sections are read, and told with the line of the entry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.seats import registered_here
from trading_assets.core.errors import SettingsError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import feature_names, fingerprint
from trading_assets.models.estimators import registered, registry
from trading_assets.settings import PROJECT_ROOT, load_settings
from trading_assets.settings.survey import unused

M15 = Timeframe.parse("15m")

FEATURE = '''
from trading_assets.features.framework.registry import feature

@feature("{name}", inputs=["open", "close"], lookback=1, unit="fraction", source="own")
def {name}(frame):
    """A bar's body."""
    return {value}
'''
ESTIMATOR = """
from typing import Literal
from trading_assets.models.estimators import Estimator, register
from trading_assets.settings import EstimatorSettings

class MineSettings(EstimatorSettings):
    kind: Literal["{kind}"] = "{kind}"
    {parameter}: int = 3

@register
class Mine(Estimator[MineSettings]):
    parameters = MineSettings
    fit = load = None
"""


def feature(name: str = "body", value: str = "frame.close / frame.open - 1") -> str:
    return FEATURE.format(name=name, value=value)


def estimator(kind: str = "mine", parameter: str = "depth") -> str:
    return ESTIMATOR.format(kind=kind, parameter=parameter)


@pytest.fixture(autouse=True)
def own_seats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    with registered_here(registry._ESTIMATORS):
        yield


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """A settings file in a folder of its own, beside the files of its plug-ins."""

    def write(
        name: str = "project", *, plugins: list[str], model: dict[str, object] | None = None, **files: str
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for module, text in files.items():
            (folder / f"{module}.py").write_text(text)
        values = yaml.safe_load((PROJECT_ROOT / "trading.yaml").read_text())
        values["models"] = {"m": {"markets": ["sample:SYNA/USDT:USDT"], **(model or {})}}
        (folder / "trading.yaml").write_text(yaml.safe_dump({"plugins": plugins} | values, sort_keys=False))
        return folder / "trading.yaml"

    return write


def test_a_project_without_plug_ins_has_the_features_of_before(project) -> None:
    settings = load_settings(project(plugins=[]))
    assert (settings.plugged, settings.loaded_plugins) == ((), ())
    assert fingerprint(plugins=settings.plugged) == fingerprint(plugins=())


def test_features_and_estimators_of_a_file_are_there_when_sections_are_read(project) -> None:
    file = project(
        plugins=["mine.py", "learner"],
        model={"estimator": {"kind": "mine", "depth": 5}, "features": ["rsi_*", "mine"]},
        mine=feature(),
        learner=estimator(),
    )
    settings = load_settings(file)
    assert settings.models["m"].estimator.model_dump() == {"kind": "mine", "seed": 7, "depth": 5}
    assert "body" in feature_names(M15, plugins=settings.plugged)
    assert feature_names(M15, settings.models["m"].features, settings.plugged) == ("rsi_14", "rsi_28", "body")
    assert [one.of("feature") + one.of("estimator") for one in settings.loaded_plugins] == [["body"], ["mine"]]
    assert "body" in feature_names(M15), "and where nothing is given, those of the settings read last"
    assert "mine" in registered()
    assert load_settings(file) == settings
    assert load_settings(file).plugged == settings.plugged


def test_flags_and_variables_name_plug_ins_too(project, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project(plugins=["mine.py"], mine=feature(), other=feature("other"))
    assert [one.name for one in load_settings(file, plugins=["other.py"]).loaded_plugins] == ["other.py"]
    monkeypatch.setenv("TRADING_PLUGINS", '["other.py", "gone.py"]')
    with pytest.raises(
        SettingsError, match=r"^environment variable TRADING_PLUGINS: plugins: gone\.py cannot be loaded"
    ):
        load_settings(file)


def test_two_projects_of_one_process_keep_what_they_call_alike_apart(project) -> None:
    chosen = {"estimator": {"kind": "mine"}}
    one = load_settings(project("one", plugins=["mine.py"], model=chosen, mine=feature() + estimator()))
    two = load_settings(
        project(
            "two", plugins=["mine.py"], model=chosen, mine=feature(value="frame.open") + estimator(parameter="width")
        )
    )
    none = load_settings(project("none", plugins=[]))
    assert one.models["m"].estimator.model_dump().keys() - two.models["m"].estimator.model_dump().keys() == {"depth"}
    with_it, other, without = (
        fingerprint(["body", "rsi_14"], one.plugged),
        fingerprint(["body", "rsi_14"], two.plugged),
        fingerprint(["body", "rsi_14"], none.plugged),
    )
    assert len({with_it, other, without}) == 3
    assert {fingerprint(["rsi_14"], project.plugged) for project in (one, two, none)} == {without}
    assert "body" not in feature_names(M15, plugins=none.plugged)
    with pytest.raises(SettingsError, match="no estimator 'mine'"):
        load_settings(project("none", plugins=[], model=chosen))


def test_a_file_that_changes_is_read_anew_and_settings_read_before_keep_theirs(project) -> None:
    file = project(plugins=["mine.py"], mine=feature())
    before = load_settings(file)
    (file.parent / "mine.py").write_text(feature(value="frame.open"))
    after = load_settings(file)
    assert fingerprint(["body"], before.plugged) != fingerprint(["body"], after.plugged)
    assert fingerprint(["rsi_14"], before.plugged) == fingerprint(["rsi_14"], after.plugged)
    (file.parent / "mine.py").write_text("# a word more\n" + feature())
    assert fingerprint(["body"], load_settings(file).plugged) == fingerprint(["body"], before.plugged)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (None, 0, "no such file"),
        ("x = = 2\n", 1, "SyntaxError: invalid syntax"),
        ("import os\nos.no_such_thing\n", 2, "AttributeError: module 'os' has no attribute"),
        (feature("rsi_14"), 4, "ValueError: rsi_14: the feature 'rsi_14' is there already, in trading_assets."),
        (estimator("logistic"), 10, "the estimator 'logistic' is there already, in trading_assets."),
        (feature("other"), 4, "the feature 'other' is there already, in "),
    ],
)
def test_what_cannot_be_loaded_names_both_lines(project, text: str | None, line: int, why: str) -> None:
    files = {} if text is None else {"mine": text}
    file = project(plugins=["other.py", "mine.py"], other=feature("other"), **files)
    with pytest.raises(SettingsError) as raised:
        load_settings(file)
    entry = file.read_text().splitlines().index("- mine.py") + 1
    place = file.parent / "mine.py"
    told = f"{file}:{entry}: plugins: mine.py cannot be loaded: {place}{f':{line}' if line else ''}: {why}"
    assert str(raised.value).startswith(told)


def test_plugins_that_are_no_list_of_names_are_refused_with_the_line(project) -> None:
    file = project(plugins=[])
    file.write_text(file.read_text().replace("plugins: []", "plugins: mine.py"))
    with pytest.raises(
        SettingsError, match=r"trading\.yaml:1: plugins: Input should be a valid list \(given 'mine\.py'\)"
    ):
        load_settings(file)


def test_a_plug_in_that_registers_nothing_is_a_warning(project) -> None:
    file = project(plugins=["nothing.py", "mine.py"], nothing="x = 1\n", mine=feature())
    lines = [str(one) for one in unused(load_settings(file)) if one.key[0] == "plugins"]
    assert lines == ["plugins.0: nothing.py registers nothing: no @feature and no @register is in it"]


def test_an_estimator_that_no_plug_in_brings_is_named_with_those_that_are_known(project) -> None:
    file = project(plugins=["mine.py"], model={"estimator": {"kind": "mime"}}, mine=estimator())
    with pytest.raises(SettingsError, match=r"no estimator 'mime'; did you mean 'mine'\? known: .*logistic.*, mine"):
        load_settings(file)


def test_a_package_that_a_plug_ins_estimator_needs_is_named(project) -> None:
    needing = estimator().replace("    kind:", '    requires = {"no_such_module": "no-such-package"}\n    kind:')
    file = project(plugins=["mine.py"], model={"estimator": {"kind": "mine"}}, mine=needing)
    with pytest.raises(SettingsError, match="the estimator mine needs no-such-package, which is not installed"):
        load_settings(file)


@pytest.mark.parametrize(
    ("contract", "module", "base", "section", "missing"),
    [
        ("rule", "trading_assets.strategies.rules", "Rule", "RuleSettings", "lookback_bars and no sides"),
        ("label", "trading_assets.labels", "Label", "LabelSettings", "rows"),
    ],
)
def test_a_class_that_lacks_a_part_of_its_contract_is_refused_with_its_line(
    tmp_path: Path, contract: str, module: str, base: str, section: str, missing: str
) -> None:
    (tmp_path / "half.py").write_text(
        "from typing import Literal\n"
        f"from {module} import {base}, register\n"
        f"from trading_assets.settings import {section}\n\n"
        f'class HalfSettings({section}):\n    kind: Literal["half"] = "half"\n\n'
        f"@register\nclass Half({base}[HalfSettings]):\n    section = HalfSettings\n"
    )
    file = tmp_path / "trading.yaml"
    file.write_text("plugins: [half.py]\nsources: {sample: {kind: sample}}\nmarkets: {}\nmodels: {}\n")
    said = rf"half\.py:\d+: the {contract} Half has no {missing}; write what is missing"
    with pytest.raises(SettingsError, match=said):
        load_settings(file)

"""Load a saved model and ask it, in a process of its own: what a malformed file does there hurts nobody.

``python -I -m trading_assets.models.estimators.loading_trial REQUEST`` exits with 0 where every answer is a
probability, and with 3 and the reason on standard output where the model is malformed.
"""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from trading_assets.core.errors import ModelError, SettingsError, TradingError
from trading_assets.core.plugins import Plugin, check_unchanged, load, plugin_of
from trading_assets.core.plugins.modules import load_file
from trading_assets.core.plugins.seats import using
from trading_assets.models.estimators.contract import Estimator
from trading_assets.models.estimators.registry import registered
from trading_assets.settings import EstimatorSettings
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_assets.settings.sections.kinds import TRAINED

ROWS: Final = 64

FOUND: Final = 3
"""How the process ends that found a model malformed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended that loaded a model: its exit code, negative for a signal, and what it said."""

    code: int
    said: str


def run_all(commands: Sequence[Sequence[str]], *, limit_s: float = 60.0) -> list[Ended]:
    """Run trials side by side to their ends; one that lasts longer than the limit is killed."""
    started = [
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for words in commands
    ]
    ended = []
    for process in started:
        try:
            said = process.communicate(timeout=limit_s)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[0]
        ended.append(Ended(process.returncode, said.decode(errors="replace")))
    return ended


def command(
    estimator: Estimator[Any], folder: Path, parameters: EstimatorSettings, features: Sequence[str]
) -> list[str]:
    """What to run for a saved model.

    Raises
    ------
    ModelError
        The estimator's plug-in has changed since this process read it: another one would load other code.
    """
    owners = {ESTIMATORS.owner_of(type(one)) for one in parameters.sections()}
    plugins = [one for one in map(plugin_of, sorted(owners)) if one is not None]
    for plugin in plugins:
        _check_unchanged(plugin)
    request = {
        "plugins": [[plugin.name, str(plugin.folder)] for plugin in plugins],
        "kind": estimator.kind if plugin_of(ESTIMATORS.owner_of(estimator.parameters)) else None,
        "module": type(estimator).__module__,
        "name": type(estimator).__qualname__,
        "source": inspect.getsourcefile(type(estimator)),
        "path": sys.path,
        "folder": str(folder),
        "parameters": parameters.model_dump(mode="json"),
        "features": list(features),
    }
    return [sys.executable, "-I", "-m", __name__, json.dumps(request)]


def problem(
    estimator: Estimator[Any], folder: Path, parameters: EstimatorSettings, features: Sequence[str]
) -> str | None:
    """What is wrong with a saved model; None where it answers rows of all kinds with probabilities."""
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
    try:
        fitted = estimator.load(files, parameters=parameters, features=features)
    except TradingError as error:
        return str(error)
    rng = np.random.default_rng(0)
    back = estimator.lookback_rows(parameters)
    shape = (ROWS, len(features)) if back == 1 else (ROWS, back, len(features))
    rows = rng.normal(size=shape) * rng.choice([1.0, 1e6], shape)
    rows[rng.random(shape) < 1 / 3] = np.nan
    answers = fitted.predict_proba(rows)
    if answers.shape != (ROWS,):
        return f"it gives answers of shape {answers.shape} to {ROWS} rows"
    strange = answers[~((answers >= 0) & (answers <= 1))]
    return f"it answers {strange[0]:g}, which is no probability" if strange.size else None


def main(words: str) -> int:
    """Print what is wrong, and return 3; 0 where nothing is."""
    request = json.loads(words)
    sys.path += [folder for folder in request["path"] if folder not in sys.path]
    plugins = tuple(load(name, Path(folder)).owner for name, folder in request["plugins"])
    with using(plugins):
        kind = request["kind"]
        estimator = registered()[kind] if kind else _loaded(*(request[one] for one in _CLASS))()
        parameters = estimator.parameters.model_validate(request["parameters"], context={TRAINED: True})
        wrong = problem(estimator, Path(request["folder"]), parameters, request["features"])
    if wrong is not None:
        sys.stdout.write(wrong)
    return 0 if wrong is None else FOUND


def _check_unchanged(plugin: Plugin) -> None:
    try:
        check_unchanged(plugin)
    except SettingsError as error:
        raise ModelError(error.what, where=error.where, remedy=error.remedy) from None


_CLASS: Final = ("module", "source", "name")


def _loaded(module: str, source: str, name: str) -> type[Estimator[Any]]:
    """An estimator's class: of a module that can be imported by its name, else of its file."""
    found: Any
    try:
        found = importlib.import_module(module)
    except ImportError:
        found = load_file(Path(source), module)
    for part in name.split("."):
        found = getattr(found, part)
    kind: type[Estimator[Any]] = found
    return kind


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))

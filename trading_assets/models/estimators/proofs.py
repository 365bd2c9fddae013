"""What every estimator promises, asked of one: the same questions for those of the project and for a plug-in's.

The world is made up, see ``proof_case``. Each proof says what is wrong, or nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from trading_assets.core.errors import ModelError
from trading_assets.core.proofs import refuted
from trading_assets.models.estimators.contract import FILE_NAME, Array, Estimator, Files, Fitted
from trading_assets.models.estimators.loading_trial import FOUND, run_all
from trading_assets.models.estimators.proof_case import CONSTANT, EMPTY, NAMES, ROWS, UNSEEN, Case, world
from trading_assets.settings import EstimatorSettings

_MIN_SPREAD: Final = 0.02
"""How much higher the mean probability of rows with the target must be than that of the others."""

_EXPLAINED: Final = 1e-5
"""How far SHAP values may miss the log-odds: some libraries add hundreds of trees in single precision."""


def probabilities(case: Case) -> str | None:
    """One number within 0 and 1 for each row, higher where the target is 1."""
    answers = case.fitted.predict_proba(case.unseen)
    if answers.shape != (UNSEEN,) or answers.dtype != np.float64:
        return f"{UNSEEN} rows get an array of shape {answers.shape} and type {answers.dtype}"
    wild = case.unseen * np.random.default_rng(3).choice([1e-300, 1.0, -1e12, 1e250], case.unseen.shape)
    for rows, asked in ((case.unseen, "rows like those of training"), (wild, "rows far from those of training")):
        said = case.fitted.predict_proba(rows)
        if not ((said >= 0) & (said <= 1)).all():
            return f"{asked} get {said[~((said >= 0) & (said <= 1))][0]:g}"
    target = world(UNSEEN, 2)[1]
    spread = answers[target == 1].mean() - answers[target == 0].mean()
    return None if spread > _MIN_SPREAD else f"it does not tell the outcomes apart: {spread:+.3f}"


def refit(case: Case) -> str | None:
    """The same rows give the same files."""
    again, files = case.fit(case.rows).save(), case.fitted.save()
    changed = [name for name in sorted({*again, *files}) if again.get(name) != files.get(name)]
    return f"{changed[0]} is another after a second fit" if changed else None


def saved(case: Case) -> str | None:
    """What was saved predicts the same, and saves the same."""
    files = case.fitted.save()
    again = case.load(files)
    if far := case.apart(again.predict_proba(case.unseen), case.fitted.predict_proba(case.unseen)):
        return f"read back, it answers otherwise {far}"
    return None if again.save() == files else "read back, it saves other files"


def plain(case: Case) -> str | None:
    """Files of text or arrays, by usable names, and no pickle."""
    files = case.fitted.save()
    for name, content in files.items():
        if FILE_NAME.fullmatch(name) is None:
            return f"a file cannot be called {name!r}"
        if content.startswith(b"\x80"):
            return f"{name} is a pickle"
        if not name.endswith(".npz") and _is_binary(content):
            return f"{name} is no text (arrays go into .npz)"
    return None if files else "it saves no file"


def row_alone(case: Case) -> str | None:
    """A row gets the same probability alone, in every batch, and in every order."""
    whole = case.fitted.predict_proba(case.unseen)
    order = np.random.default_rng(4).permutation(UNSEEN)
    if far := case.apart(case.fitted.predict_proba(np.ascontiguousarray(case.unseen[order])), whole[order]):
        return f"in another order the answers differ {far}"
    for size in (1, 7):
        parts = [case.fitted.predict_proba(case.unseen[begin : begin + size]) for begin in range(0, UNSEEN, size)]
        if far := case.apart(np.concatenate(parts), whole):
            return f"in batches of {size} the answers differ {far}"
    return None


def untouched(case: Case) -> str | None:
    """Fitting and asking write to nothing that they were given, and asking changes no model."""
    files = case.fitted.save()
    for rows, call in ((case.rows, case.fit), (case.unseen, _asked(case.fitted))):
        rows.setflags(write=False)
        try:
            call(rows)
        except ValueError as error:
            return f"it writes to its inputs: {error}"
        finally:
            rows.setflags(write=True)
    return None if case.fitted.save() == files else "asking changed the model"


def missing(case: Case) -> str | None:
    """Rows of nothing but missing values have one answer; a model of such rows gives the share of the target."""
    answers = case.fitted.predict_proba(np.full_like(case.unseen, np.nan))
    if not np.isfinite(answers).all() or len(set(answers)) != 1:
        return f"rows of missing values get {sorted(set(answers))[:3]}"
    nothing = np.full_like(case.rows, np.nan)
    said, share = float(case.fit(nothing).predict_proba(nothing[:1])[0]), float(case.target.mean())
    return None if abs(said - share) < 1e-3 else f"a model of missing values says {said:.4f}, the share is {share:.4f}"


def constant(case: Case) -> str | None:
    """What never changed in training, or was never there, does not count later."""
    moved = case.unseen.copy()
    moved[..., CONSTANT] += 5
    moved[..., EMPTY] = 3.0
    far = case.apart(case.fitted.predict_proba(moved), case.fitted.predict_proba(case.unseen))
    return far and f"a column that was constant in training moves the answers {far}"


def weights(case: Case) -> str | None:
    """Equal weights are no weights; rows that count more pull."""
    plain_answers = case.fitted.predict_proba(case.unseen)
    ones = case.fit(case.rows, np.ones(ROWS)).predict_proba(case.unseen)
    if np.abs(ones - plain_answers).max() > max(case.estimator.tolerance_of(case.parameters), 1e-9):
        return f"equal weights change the answers by {np.abs(ones - plain_answers).max():.3g}"
    three = np.where(case.target == 1, 3.0, 1.0)
    pulled = case.fit(case.rows, three / three.mean()).predict_proba(case.unseen).mean() - plain_answers.mean()
    return None if pulled > _MIN_SPREAD else f"rows of three times the weight move the answers by {pulled:+.3f}"


def explained(case: Case) -> str | None:
    """SHAP values, where it says them, add up to the log-odds but for a constant."""
    told = case.fitted.contributions(case.unseen)
    if told is None:
        return None
    if told.shape != (UNSEEN, len(NAMES)):
        return f"contributions of {UNSEEN} rows and {len(NAMES)} features have the shape {told.shape}"
    answers = case.fitted.predict_proba(case.unseen)
    rest = float(np.ptp(np.log(answers / (1 - answers)) - told.sum(axis=1)))
    return None if rest < _EXPLAINED else f"they miss the log-odds by up to {rest:.3g}"


def malformed(case: Case) -> str | None:
    """A file that is missing, empty, cut off or something else is refused by its name, where a crash hurts nobody."""
    files = case.fitted.save()
    for name in files:
        try:
            case.load({other: kept for other, kept in files.items() if other != name})
            return f"it loads without {name}"
        except ModelError as error:
            if name not in str(error):
                return f"the refusal of a model without {name} does not name it: {error}"
        except Exception as error:
            return f"without {name} it raises {type(error).__name__}: {error}"
        if (wrong := _accepted(case, files, name)) is not None:
            return wrong
    return None


def spoilt(content: bytes) -> Mapping[str, bytes]:
    """Content that no model has."""
    return {
        "empty": b"",
        "a pickle": b"\x80\x04cos\nsystem\n(S'exit 5'\ntR.",
        "cut off": content[: len(content) // 2],
        "with numbers that are none": content.replace(b"0.", b"x.") if b"0." in content else content[::-1],
    }


PROOFS: Final[Mapping[str, Callable[[Case], str | None]]] = {
    proof.__name__: proof
    for proof in (
        probabilities,
        refit,
        saved,
        plain,
        row_alone,
        untouched,
        missing,
        constant,
        weights,
        explained,
        malformed,
    )
}
"""By name, each says what is wrong."""


def prove(estimator: Estimator[Any], parameters: EstimatorSettings | None = None) -> dict[str, str]:
    """Ask an estimator everything that it promises.

    Parameters
    ----------
    estimator
        Registered or not.
    parameters
        Its defaults, unless given.

    Returns
    -------
    dict
        Proof -> what is wrong; empty where all pass.
    """
    return refuted(PROOFS, Case(estimator, parameters or estimator.parameters()))


def _asked(fitted: Fitted) -> Callable[[Array], object]:
    return lambda rows: (fitted.predict_proba(rows), fitted.contributions(rows))


def _is_binary(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return True
    return False


def _accepted(case: Case, files: Files, name: str) -> str | None:
    """Which spoilt content of a file is not refused as it should be, and how; None where all is."""
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, Sequence[str]] = {}
        for number, (how, bad) in enumerate(spoilt(files[name]).items()):
            place = Path(folder) / str(number)
            place.mkdir()
            for other, content in {**files, name: bad}.items():
                (place / other).write_bytes(content)
            commands[how] = case.estimator.trial(place, case.parameters, NAMES)
        for how, ended in zip(commands, run_all(list(commands.values())), strict=True):
            if ended.code == 0:
                return f"{name}, {how}, is taken for a model"
            if ended.code > 0 and ended.code != FOUND:
                return f"{name}, {how}: its reader fails instead of refusing: {ended.said[-200:].strip()}"
    return None

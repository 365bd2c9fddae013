"""A bundle's models are loaded in processes of their own before this one loads them."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import Final

from trading_assets.core.errors import BundleError
from trading_assets.models.bundle import REMEDY, Bundle
from trading_assets.models.classifier import Classifier
from trading_assets.models.estimators.loading_trial import FOUND

_LIMIT_S: Final = 60.0


@dataclass(frozen=True)
class _Attempt:
    """The process that loads one side's model."""

    name: str
    process: subprocess.Popen[bytes]


class Trial:
    """One trial of a bundle; begins at once, with a process for each side.

    Parameters
    ----------
    bundle
        Verified by its hashes, not yet asked for a prediction.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._where = str(bundle.folder)
        self._begun = time.monotonic()
        self._open = [
            _Attempt(
                f"the model in {', '.join(sorted(one.files))} ({one.parameters.kind}, {side.word})",
                subprocess.Popen(
                    one.estimator.trial(bundle.model_folders[side], one.parameters, one.features),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C at the node is no crash of the model
                ),
            )
            for side, one in bundle.classifiers.items()
            if isinstance(one, Classifier)  # a rule's record is a few numbers, read with the bundle
        ]

    def finished(self) -> bool:
        """Whether there is a result.

        Raises
        ------
        BundleError
            If a model is malformed: what its reader said, or how the process ended.
        """
        try:
            self._open = [one for one in self._open if not self._passed(one)]
        except BundleError:
            for one in self._open:
                one.process.kill()
            raise
        return not self._open

    def wait(self) -> None:
        """Wait for the result; raises as :meth:`finished` does."""
        while not self.finished():
            time.sleep(0.01)

    def _passed(self, one: _Attempt) -> bool:
        code = one.process.poll()
        if code is None and time.monotonic() - self._begun > _LIMIT_S:
            raise self._error(f"{one.name} does not answer within {_LIMIT_S:g} s")
        if code is None:
            return False
        said = " ".join(one.process.communicate()[0].decode(errors="replace").split())
        if code == FOUND:
            raise self._error(f"{one.name} is malformed: {said}")
        if code != 0:
            raise self._error(f"{one.name} ends the process that loads it ({_ending(code)}): {said[-200:]}")
        return True

    def _error(self, what: str) -> BundleError:
        return BundleError(what, where=self._where, remedy=REMEDY)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"

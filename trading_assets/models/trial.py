"""A bundle's model is loaded in a process of its own before this one loads it."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from trading_assets.errors import BundleError
from trading_assets.models import tree_text
from trading_assets.models.bundle import REMEDY, Bundle

_LIMIT_S: Final = 60.0
_FOUND: Final = 3


class Trial:
    """One trial of a bundle; begins at once.

    Parameters
    ----------
    bundle
        Verified by its hashes, not yet asked for a prediction.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._where = str(bundle.folder)
        self._begun = time.monotonic()
        command = [sys.executable, "-I", tree_text.__file__, _library()]
        self._process = subprocess.Popen(
            [*command, str(bundle.folder / "model.txt"), str(len(bundle.features))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C at the node is no crash of the model
        )

    def finished(self) -> bool:
        """Whether there is a result.

        Raises
        ------
        BundleError
            If the model is malformed: what its reader said, or how the process ended.
        """
        code = self._process.poll()
        if code is None and time.monotonic() - self._begun > _LIMIT_S:
            self._process.kill()
            raise self._error(f"the model does not answer within {_LIMIT_S:g} s")
        if code is None:
            return False
        said = " ".join(self._process.communicate()[0].decode(errors="replace").split())
        if code == _FOUND:
            raise self._error(f"the model is malformed: {said}")
        if code != 0:
            raise self._error(f"the model ends the process that loads it ({_ending(code)}): {said[-200:]}")
        return True

    def wait(self) -> None:
        """Wait for the result; raises as :meth:`finished` does."""
        while not self.finished():
            time.sleep(0.01)

    def _error(self, what: str) -> BundleError:
        return BundleError(what, where=self._where, remedy=REMEDY)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@cache
def _library() -> str:
    """LightGBM's library, found without importing the package, which takes a second."""
    spec = find_spec("lightgbm")
    assert spec is not None
    assert spec.origin is not None
    found = sorted(Path(spec.origin).parent.glob("lib/lib_lightgbm.*")) or sorted(
        Path(spec.origin).parent.glob("**/lib_lightgbm.*")
    )
    return str(found[0])

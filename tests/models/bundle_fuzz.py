"""Random damage to the files of bundles, with hashes that belong to it, so that only their readers stand in the way.

``python -m tests.models.bundle_fuzz EXAMPLES`` puts so many damaged models of each kind to their readers (`make soak`).
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.models.bundles import ESTIMATORS, Content, made
from trading_assets.core.errors import BundleError
from trading_assets.models import load
from trading_assets.models.classifier import Classifier
from trading_assets.models.estimators import installed
from trading_assets.models.estimators.contract import Estimator
from trading_assets.models.estimators.loading_trial import FOUND, problem, run_all

REFUSED, MODEL, CRASHED = "refused", "a model", "ended its process"
STRANGE: Final = (None, True, -1, 0, 1e308, -1e308, 2**63, 2**31, "", "x", [], {}, [[]], "\x00", "1e999")
_SAYS: Final = "outcome: "
SENTINEL: Final = "BUNDLE_FUZZ_SENTINEL"


class Payload:
    """What writes a file where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (os.makedirs, (os.environ[SENTINEL],))


def payloads(content: bytes) -> Iterator[bytes]:
    """Contents that execute something in a reader that allows pickles."""
    pickled = pickle.dumps(Payload())
    yield pickled
    yield content + pickled
    objects = np.array([Payload()], dtype=object)
    for save in (np.save, np.savez):
        buffer = io.BytesIO()
        save(buffer, objects, allow_pickle=True)
        yield buffer.getvalue()
    try:
        names = list(np.load(io.BytesIO(content), allow_pickle=False))
    except Exception:  # no archive of arrays
        names = []
    for name in names:
        arrays = dict(np.load(io.BytesIO(content), allow_pickle=False))
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=True, **(arrays | {name: objects}))
        yield buffer.getvalue()
    yield b'{"py/object/apply": "os.system", "args": ["true"]}'
    yield b"!!python/object/apply:os.system ['true']"


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to three accidents; most within what it says, so that its form often holds."""
    for _ in range(rng.integers(1, 4)):
        accident = rng.integers(6)
        at = int(rng.integers(len(content) + 1))
        if accident == 0:
            content = content[:at]
        elif accident == 1 and content:
            flipped = bytearray(content)
            for place in rng.integers(len(content), size=int(rng.integers(1, 6))):
                flipped[place] ^= 1 << int(rng.integers(8))
            content = bytes(flipped)
        elif accident == 2:
            content = content[:at] + rng.bytes(int(rng.integers(1, 12))) + content[at:]
        elif accident == 3:
            content = _digits(content, rng)
        else:
            content = _json(content, rng)
    return content


def _digits(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number in the place of one."""
    places = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    if not places:
        return content
    at = int(rng.choice(places))
    other = rng.choice([b"9", b"-1", b"99999999", b"1e400", b"nan", b"0", b"inf", b""])
    return content[:at] + bytes(other) + content[at + 1 :]


def _json(content: bytes, rng: np.random.Generator) -> bytes:
    """A value of JSON exchanged, removed or repeated."""
    try:
        whole = json.loads(content)
    except ValueError:
        return content
    holder: Any = whole
    while isinstance(holder, dict | list) and holder:
        key = (
            list(holder)[int(rng.integers(len(holder)))] if isinstance(holder, dict) else int(rng.integers(len(holder)))
        )
        if not isinstance(holder[key], dict | list) or not holder[key] or rng.random() < 0.3:
            accident = rng.integers(3)
            if accident == 0:
                del holder[key]
            elif accident == 1 and isinstance(holder, list):
                holder.append(holder[key])
            else:
                holder[key] = STRANGE[int(rng.integers(len(STRANGE)))]
            break
        holder = holder[key]
    return json.dumps(whole).encode()


def outcome(folder: Path) -> str:
    """What becomes of a bundle in this process, as in a node: refused, or a model whose answers are probabilities.

    Anything else is raised: what a reader fails with that is no refusal.
    """
    try:
        bundle = load(folder)
    except BundleError:
        return REFUSED
    for side, one in bundle.classifiers.items():
        if isinstance(one, Classifier) and (said := _of_side(bundle.model_folders[side], one)) != MODEL:
            return said
    return MODEL


def _of_side(folder: Path, one: Classifier) -> str:
    asked = (one.estimator, folder, one.parameters, one.features)
    if type(one.estimator).trial is not Estimator.trial:  # it does not trust its library: as in the node, that is first
        (ended,) = run_all([one.estimator.trial(folder, one.parameters, one.features)])
        if ended.code > 0 and ended.code != FOUND:
            raise AssertionError(f"the trial fails instead of refusing: {ended.said}")
        if ended.code:
            return REFUSED if ended.code == FOUND else CRASHED
    return REFUSED if problem(*asked) else MODEL


def variants(content: Content, examples: int, seed: int) -> Iterator[Mapping[str, bytes]]:
    """A model's files, one of them damaged each time; first those that would execute something."""
    rng = np.random.default_rng(seed)
    names = sorted(name for name in content.files if "/" in name)
    for name in names:
        for bad in payloads(content.files[name]):
            yield {name: bad}
    for _ in range(examples):
        name = names[int(rng.integers(len(names)))]
        yield {name: damaged(content.files[name], rng)}


def tally(kind: str, examples: int, folder: Path, seed: int = 1) -> Counter[str]:
    """What became of so many damaged models of a kind; each reader runs where its crash is noticed and goes on."""
    content = Content.of(made(kind, folder / "whole"))
    places = [
        content.written(folder / str(number), changed)
        for number, changed in enumerate(variants(content, examples, seed))
    ]
    found: Counter[str] = Counter()
    sentinel = folder / "executed"
    begun = 0
    while begun < len(places):
        words = [sys.executable, "-m", "tests.models.bundle_fuzz", "--judge", *map(str, places[begun:])]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, env=_own(sentinel))
        said = [line.removeprefix(_SAYS) for line in ended.stdout.splitlines() if line.startswith(_SAYS)]
        found.update(said)
        begun += len(said)
        if ended.returncode < 0 and type(installed()[kind]).trial is Estimator.trial:  # this was its trial
            found[CRASHED] += 1
            begun += 1
        elif ended.returncode:
            raise AssertionError(f"{kind}, {places[begun]} ({ended.returncode}): {ended.stderr[-1500:]}")
    if sentinel.exists():
        raise AssertionError(f"{kind}: something of a bundle was executed")
    return found


def _own(sentinel: Path) -> dict[str, str]:
    return {**os.environ, SENTINEL: str(sentinel)}


def main(words: list[str]) -> None:
    """Judge folders, or put many damaged models of each kind to their readers."""
    if words[:1] == ["--judge"]:
        for place in words[1:]:
            print(f"{_SAYS}{outcome(Path(place))}", flush=True)  # noqa: T201
        return
    for kind in ESTIMATORS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ[SENTINEL] = str(Path(folder) / "executed")
            found = tally(kind, int(words[0]), Path(folder))
        print(f"{kind}: {', '.join(f'{count} {what}' for what, count in sorted(found.items()))}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])

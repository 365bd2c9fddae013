"""Whether a LightGBM model's text can be loaded and asked, tried where a crash hurts nobody.

A malformed tree ends the process that loads it (``terminate called``), or the prediction never returns: there is no
exception to catch. So a process of its own runs this file: it reads the trees' structure first, then loads the model
through the library's C interface and predicts. It imports the standard library alone: it takes a tenth of a second.
"""

from __future__ import annotations

import ctypes
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_ROWS = 64
_NORMAL = 0
_FLOAT64 = 1


def problem(text: str, features: int) -> str | None:
    """What is wrong with the trees' structure: None where every row of inputs comes to a leaf."""
    trees = list(_trees(text))
    if not trees:
        return "it has no trees"
    if not _whole(text, len(trees)):
        return "it was cut off: it has other trees than its head says, or ends too early"
    if strange := _strange_parameter(text):
        return f"its parameters are malformed: {strange!r}"
    for number, tree in enumerate(trees):
        try:
            wrong = _problem_of(tree, features)
        except (KeyError, ValueError, OverflowError) as error:  # the last of an infinite number
            wrong = f"{error} is missing or no list of numbers"
        if wrong is not None:
            return f"tree {number}: {wrong}"
    return None


def trained_on(text: str) -> int | None:
    """The number of features that a model was trained on; None where it does not say."""
    said = next((line for line in text.splitlines() if line.startswith("max_feature_idx=")), "").partition("=")[2]
    return int(said) + 1 if re.fullmatch("[0-9]{1,9}", said) else None


def _whole(text: str, trees: int) -> bool:
    sizes = next((line for line in text.splitlines() if line.startswith("tree_sizes=")), "")
    return len(sizes.removeprefix("tree_sizes=").split()) == trees and "\nend of parameters" in text


def _strange_parameter(text: str) -> str:
    """A line of the parameters that is not ``[name: value]``: the Python package's question for them would crash."""
    lines = text.partition("\nparameters:")[2].partition("\nend of parameters")[0].split("\n")
    return next((one for one in lines if one and not (one[0] == "[" and one[-1] == "]" and ": " in one)), "")


def _trees(text: str) -> Iterator[dict[str, str]]:
    head, *blocks = text.partition("end of trees")[0].split("\nTree=")
    del head
    for block in blocks:
        yield dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _problem_of(tree: dict[str, str], features: int) -> str | None:
    leaves = int(tree["num_leaves"])
    if leaves < 1 or len(_numbers(tree, "leaf_value")) != leaves:
        return f"it says {leaves} leaves and has another number of values"
    if leaves == 1:
        return None
    columns = {
        name: [int(value) for value in _numbers(tree, name)] for name in ("split_feature", "left_child", "right_child")
    }
    columns["threshold"] = [0 for _ in _numbers(tree, "threshold")]
    if short := [name for name, values in columns.items() if len(values) != leaves - 1]:
        return f"{', '.join(short)} should have {leaves - 1} entries"
    if any(not 0 <= feature < features for feature in columns["split_feature"]):
        return f"it splits on a feature beyond the {features} of the bundle"
    children = columns["left_child"] + columns["right_child"]
    if sorted(children) != [number for number in range(-leaves, leaves - 1) if number != 0]:
        return "its nodes are not one tree: a child is missing, named twice, or does not exist"
    seen, open_nodes = 0, [0]
    while open_nodes:
        node = open_nodes.pop()
        seen += 1
        open_nodes += [child for child in (columns["left_child"][node], columns["right_child"][node]) if child >= 0]
    return None if seen == leaves - 1 else "some of its nodes cannot be reached"


def _numbers(tree: dict[str, str], name: str) -> list[float]:
    return [float(word) for word in tree[name].split()]


def ask(library: str, text: str, features: int) -> str | None:
    """Load the model and predict some rows; what the library says, or None."""
    lightgbm = ctypes.CDLL(library)
    lightgbm.LGBM_GetLastError.restype = ctypes.c_char_p
    handle, iterations, count = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int64()
    if lightgbm.LGBM_BoosterLoadModelFromString(text.encode(), ctypes.byref(iterations), ctypes.byref(handle)):
        return str(lightgbm.LGBM_GetLastError().decode())
    if lightgbm.LGBM_BoosterGetNumFeature(handle, ctypes.byref(count)) or count.value != features:
        return f"it was trained on {count.value} features, not on {features}"
    if wrong := _parameters(lightgbm, handle):
        return wrong
    draw = random.Random(0)
    values = [draw.choice((float("nan"), draw.gauss(0, 1), draw.gauss(0, 1e6))) for _ in range(_ROWS * features)]
    rows, answers = (ctypes.c_double * len(values))(*values), (ctypes.c_double * _ROWS)()
    failed = lightgbm.LGBM_BoosterPredictForMat(
        handle, rows, _FLOAT64, _ROWS, features, 1, _NORMAL, 0, -1, b"num_threads=1", ctypes.byref(count), answers
    )
    if failed:
        return str(lightgbm.LGBM_GetLastError().decode())
    strange = [answer for answer in answers if not 0 <= answer <= 1]
    return f"it answers {strange[0]:g}, which is no probability" if strange else None


def _parameters(lightgbm: ctypes.CDLL, handle: ctypes.c_void_p) -> str | None:
    """Ask for the parameters in the text, as the Python package does: a line without a colon ends the process."""
    length, room = ctypes.c_int64(), ctypes.create_string_buffer(1 << 20)
    if lightgbm.LGBM_BoosterGetLoadedParam(handle, ctypes.c_int64(len(room)), ctypes.byref(length), room):
        return str(lightgbm.LGBM_GetLastError().decode())
    try:
        json.loads(room.value)
    except ValueError as error:
        return f"its parameters are malformed: {error}"
    return None


def main(library: str, file: str, features: str) -> int:
    """Print what is wrong, and exit with 3; 0 where nothing is."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        wrong: str | None = "it is no text"
    else:
        wrong = problem(text, int(features)) or ask(library, text, int(features))
    if wrong is not None:
        sys.stdout.write(wrong)
    return 0 if wrong is None else 3


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

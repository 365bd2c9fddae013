"""What a node that starts imports to read its trees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from trading_assets.models.estimators.trees.lightgbm import FILE, LightGBM
from trading_assets.settings import LightGBMSettings

NAMES = ["f0", "f1"]
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from trading_assets.models.estimators.trees import lightgbm
from trading_assets.settings import LightGBMSettings
lightgbm.import_alone()
files = {lightgbm.FILE: Path(sys.argv[1]).read_bytes()}
model = lightgbm.LightGBM().load(files, parameters=LightGBMSettings(), features=["f0", "f1"])
rows = np.random.default_rng(2).normal(size=(50, 2))
print(json.dumps([model.predict_proba(rows).tolist(), sorted({"sklearn", "pandas"} & set(sys.modules))]))
import sklearn
"""


def test_trees_are_read_without_what_else_the_library_can_do_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 2))
    target = (rows[:, 0] + rng.normal(size=400) > 0).astype(float)
    model = LightGBM().fit(
        rows,
        target,
        None,
        times=pl.DataFrame(),
        parameters=LightGBMSettings(num_boost_round=5),
        features=NAMES,
        seed=1,
    )
    (tmp_path / FILE).write_bytes(model.save()[FILE])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / FILE)], capture_output=True, text=True, check=True
    )
    predicted, imported = json.loads(done.stdout)
    assert predicted == model.predict_proba(np.random.default_rng(2).normal(size=(50, 2))).tolist()
    assert imported == [], "and what is hidden meanwhile can be imported afterwards"

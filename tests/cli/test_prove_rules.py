"""`trading prove-rules` on a plug-in of a user."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-rule.md"


def test_the_example_of_the_how_to_is_proven_and_one_that_looks_ahead_is_not(tmp_path: Path) -> None:
    """In one process: both register themselves there."""
    example = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(), re.DOTALL)[0]
    (tmp_path / "honest.py").write_text(example)
    liar = example.replace("breakout", "liar").replace("Breakout", "Liar")
    liar = liar.replace('(pl.col("close") ', '(pl.col("close").shift(-1) ')
    (tmp_path / "liar.py").write_text(liar)
    script = """
import sys
from trading_cli import main
for arguments in ([], ["honest.py"], ["liar.py"], ["nowhere.py"], ["json"]):
    sys.argv = ["trading", "prove-rules", *arguments]
    try:
        main.run()
    except SystemExit as ended:
        print((arguments or ["own"])[0], ended.code or 0, flush=True)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, env={"COLUMNS": "160"}
    )
    assert re.findall(r"^(\S+) (\d)$", ended.stdout, re.MULTILINE) == [
        ("own", "0"),
        ("honest.py", "0"),
        ("liar.py", "1"),
        ("nowhere.py", "2"),
        ("json", "2"),
    ]
    assert "look_ahead" in ended.stdout
    assert "json: it registers no rule; decorate a class with @register" in ended.stderr


def test_the_rules_that_models_and_meta_labels_name_are_proven_with_their_parameters(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "sources: {sample: {kind: sample}}\n"
        'markets: {"sample:SYNA/USDT:USDT": {source: sample}}\n'
        "labels: {accept: {kind: meta, rule: {kind: ema_cross_rsi, fast: 5, slow: 20}}}\n"
        "models:\n"
        '  follower: {markets: ["sample:SYNA/USDT:USDT"], label: accept}\n'
        '  cross: {kind: rule, rule: {kind: ema_cross_rsi}, markets: ["sample:SYNA/USDT:USDT"], label: accept}\n'
    )
    ended = subprocess.run(
        [sys.executable, "-m", "trading_cli", "--settings", str(tmp_path / "mine.yaml"), "prove-rules"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "cross (ema_cross_rsi)" in ended.stdout
    assert "labels.accept (ema_cross_rsi)" in ended.stdout

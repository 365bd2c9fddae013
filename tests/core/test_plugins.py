"""Plug-ins: what a user's file registers is seen by its project, as it was when it was read."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.seats import registered_here
from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins import Plugin, check_apart, load, owners, plugin_of
from trading_assets.core.plugins.seats import Seat, using

WORDS = Seat[str]("word")


def register(name: str, said: str, module: str) -> None:
    """What the plug-ins of these tests call."""
    WORDS.add(name, said, module=module, line=1)


HEAD = "from tests.core.test_plugins import register\n"


@pytest.fixture(autouse=True)
def own_seats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(sys.modules)
    with registered_here():
        yield
    for name in set(sys.modules) - set(before):
        if name in {"beside_it", "twice_there", "a_package"} or name.startswith(("own.", "a_package.")):
            del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def says(name: str, said: str) -> str:
    return f"{HEAD}register({name!r}, {said!r}, __name__)\n"


def seen(*plugins: Plugin) -> dict[str, str]:
    return WORDS.known(owners(plugins))


def test_a_file_read_twice_is_one_plug_in_and_its_names_are_seen_with_it_alone(tmp_path: Path) -> None:
    write(tmp_path, mine=says("hello", "world"))
    mine = load("mine.py", tmp_path)
    assert load("mine.py", tmp_path) is mine
    assert [(one.what, one.name, one.place) for one in mine.gives] == [("word", "hello", f"{tmp_path / 'mine.py'}:1")]
    assert seen(mine) == {"hello": "world"}
    assert seen() == {}
    with using(owners([mine])):
        assert WORDS.known() == {"hello": "world"}
    assert plugin_of(mine.owner) is mine


def test_two_projects_may_call_files_and_names_alike(tmp_path: Path) -> None:
    one = load("mine.py", write(tmp_path / "one", mine=says("hello", "one")))
    two = load("mine.py", write(tmp_path / "two", mine=says("hello", "two")))
    assert (seen(one), seen(two)) == ({"hello": "one"}, {"hello": "two"})
    with pytest.raises(SettingsError, match=r"two/mine.py:1: the word 'hello' is there already, in .*one/mine.py:1"):
        check_apart([one, two])


def test_what_lies_beside_a_file_is_that_folders_own(tmp_path: Path) -> None:
    text = f"import beside_it\n{HEAD}register('hello', beside_it.SAID, __name__)\n"
    found = [
        load("mine.py", write(tmp_path / name, mine=text, beside_it=f"SAID = {name!r}"))
        for name in ("one", "two", "one")
    ]
    assert [seen(plugin)["hello"] for plugin in found] == ["one", "two", "one"]
    assert found[0] is found[2]
    assert [file.name for file, _ in found[0].sources] == ["mine.py", "beside_it.py"]


def test_a_changed_file_is_another_plug_in_and_the_former_goes_on_as_it_was(tmp_path: Path) -> None:
    before = load("mine.py", write(tmp_path, mine=says("hello", "before")))
    assert before.changed is None
    write(tmp_path, mine=says("hello", "after"))
    assert before.changed == tmp_path / "mine.py"
    after = load("mine.py", tmp_path)
    assert (seen(before), seen(after)) == ({"hello": "before"}, {"hello": "after"})
    assert before.digest != after.digest


def test_a_change_beside_a_file_is_one_of_it_too(tmp_path: Path) -> None:
    text = f"import beside_it\n{HEAD}register('hello', beside_it.SAID, __name__)\n"
    write(tmp_path, mine=text, other=text.replace("hello", "bye"), beside_it="SAID = 1")
    before = [load(name, tmp_path) for name in ("mine.py", "other.py")]
    write(tmp_path, beside_it="SAID = 2")
    after = [load(name, tmp_path) for name in ("mine.py", "other.py")]
    assert seen(*before) == {"hello": 1, "bye": 1}
    assert seen(*after) == {"hello": 2, "bye": 2}
    check_apart(after)


def test_comments_and_the_folder_do_not_count(tmp_path: Path) -> None:
    one = load("mine.py", write(tmp_path / "one", mine=says("hello", "world")))
    two = load("mine.py", write(tmp_path / "two", mine="# a comment\n" + says("hello", "world")))
    assert one.digest == two.digest


def test_a_module_that_was_imported_before_is_not_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, twice_there=says("hello", "world"))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("twice_there")
    assert seen() == {"hello": "world"}
    mine = load("twice_there.py", tmp_path)
    assert (seen(), seen(mine)) == ({}, {"hello": "world"})
    assert [one.name for one in mine.gives] == ["hello"]


def test_a_module_of_a_package_is_named_by_its_dots(tmp_path: Path) -> None:
    write(tmp_path, a_package____init__="", a_package__words="from a_package.more import SAID\n" + says("hello", "x"))
    (tmp_path / "a_package" / "__init__.py").touch()
    write(tmp_path, a_package__more="SAID = 1")
    mine = load("a_package.words", tmp_path)
    assert seen(mine) == {"hello": "x"}
    assert {file.name for file, _ in mine.sources} == {"words.py", "more.py", "__init__.py"}
    assert load("a_package.words", tmp_path) is mine
    write(tmp_path, a_package__words=says("hello", "y"))
    assert seen(load("a_package.words", tmp_path)) == {"hello": "y"}


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("x = 1\nx = = 2\n", 2, "SyntaxError: invalid syntax"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError: Expecting property name"),
        ("import no_such_package_here\n", 1, "ModuleNotFoundError: No module named 'no_such_package_here'"),
        ("import beside_it\n", 1, "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
        (says("own", "1") + "register('own', '2', __name__)\n", 3, "the word 'own' is there already"),
        (says("taken", "2"), 2, "the word 'taken' is there already, in this project"),
    ],
)
def test_a_file_that_fails_names_its_line_and_leaves_nothing(tmp_path: Path, text: str, line: int, why: str) -> None:
    WORDS.add("taken", "1", module="this project")
    write(tmp_path, mine=text, beside_it="1 / 0\n")
    before = set(sys.modules)
    with pytest.raises(SettingsError) as raised:
        load("mine.py", tmp_path)
    file = "beside_it.py" if "beside_it" in text else "mine.py"
    assert raised.value.where == f"{tmp_path / file}:{line}"
    assert why in raised.value.what
    assert not {name for name in set(sys.modules) - before if name.endswith(".mine") or name == "beside_it"}
    write(tmp_path, mine=says("own", "mended"))
    assert seen(load("mine.py", tmp_path)) == {"taken": "1", "own": "mended"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent.py", "no such file"),
        ("no_such_module", "there is no module 'no_such_module'"),
        ("no_such_package.words", "there is no module 'no_such_package.words'"),
        ("", "there is no module ''"),
        ("../up", "there is no module '../up'"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load(name, tmp_path)

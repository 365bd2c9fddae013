"""Output that nobody reads holds up nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from trading_assets.core.unread import MOST_BYTES, Outlet

_TALKS = """
import logging, os, sys
from trading_assets.core.unread import unread
told = []
with unread(told.append):
    logging.basicConfig(stream=sys.stderr)
    for number in range(30_000):
        print("out", number, "x" * 100, flush=True)
        logging.warning("log %d %s", number, "x" * 100)
        os.write(1, b"below\\n")
    open(sys.argv[1], "w").write(";".join(told))
print("after the block", flush=True)
print("after the block", file=sys.stderr, flush=True)
"""


def test_a_process_whose_output_nobody_reads_goes_on_and_ends(tmp_path) -> None:
    note = tmp_path / "told"
    process = subprocess.Popen(
        [sys.executable, "-c", _TALKS, str(note)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.wait(120) == 0
    finally:
        process.kill()
    assert note.read_text().count("nobody reads the output") == 2, "once for each of the two, not for each line"


@pytest.mark.parametrize("gone", [False, True])
def test_what_somebody_reads_arrives_whole_and_in_order(gone: bool) -> None:
    reader, writer = os.pipe()
    outlet = Outlet(writer)
    if gone:
        os.close(reader)
    for number in range(1_000):
        outlet.put(b"%d\n" % number)
    if not gone:
        found = b""
        while found.count(b"\n") < 1_000:
            found += os.read(reader, 65_536)
        assert found == b"".join(b"%d\n" % number for number in range(1_000))
    assert outlet.close()
    assert (outlet.dropped > 0) is gone


def test_how_much_was_dropped_is_said_where_it_goes_on() -> None:
    reader, writer = os.pipe()
    outlet, line = Outlet(writer), b"x" * 999 + b"\n"
    for _ in range(3 * MOST_BYTES // len(line)):
        outlet.put(line)
    assert outlet.dropped > MOST_BYTES
    found = b""
    while b"dropped" not in found:
        found += os.read(reader, 65_536)
    (said,) = [one for one in found.split(b"\n") if b"dropped" in one]
    assert said == b"[%s bytes of output were dropped: nobody read it]" % f"{outlet.dropped:,}".encode()
    outlet.close()


def test_a_file_stays_as_it_is(tmp_path) -> None:
    code = "import sys; from trading_assets.core.unread import unread\nwith unread():\n    print(type(sys.stderr))"
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        subprocess.run([sys.executable, "-c", code], stdout=out, stderr=err, check=True)
    assert (tmp_path / "out").read_text() == "<class '_io.TextIOWrapper'>\n"


_HANGS = """
import os, threading
from trading_assets.core import unread
unread._END_S = 1
with unread.unread():
    threading.Thread(target=os.write, args=(2, b"x" * 1_000_000)).start()
    import sys
    sys.stderr.write("y" * 900_000)
"""


def test_a_librarys_thread_that_waits_for_a_reader_does_not_keep_a_process_from_its_end() -> None:
    with subprocess.Popen([sys.executable, "-c", _HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.wait(120) == -signal.SIGALRM
        finally:
            process.kill()


_STANDS_BEFORE = """
import subprocess, sys
from trading_assets.core.unread import unread
child = "import os, sys; os.write(2, b'x' * int(sys.argv[1])); os.write(2, b'last words'); os.abort()"
with unread(children=True):
    code = subprocess.run([sys.executable, "-c", child, sys.argv[1]]).returncode
sys.exit(0 if code == -6 else 1)
"""


def test_a_supervisor_reads_what_its_child_says_to_the_last_word() -> None:
    unread = [sys.executable, "-c", _STANDS_BEFORE, "3000000"]  # more than is kept for a reader
    process = subprocess.Popen(unread, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.wait(120) == 0, "nobody read it, and the child went on"
    finally:
        process.kill()
    ended = subprocess.run([sys.executable, "-c", _STANDS_BEFORE, "40000"], capture_output=True, check=False)
    assert ended.returncode == 0
    assert ended.stderr.endswith(b"last words")

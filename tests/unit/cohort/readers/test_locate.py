"""Paths and bytes: inside the folder, plain files only, bounded in size and time."""

from __future__ import annotations

import gzip
import os
import time
import zipfile
from pathlib import Path

import pytest

from trialstrat.cohort.readers.locate import locate, read_payload
from trialstrat.cohort.readers.registry import read_file, read_source
from trialstrat.cohort.rules import RefusedError
from trialstrat.protocol.model import Source

PLAIN = b"ID,X\na,1\n"


def code(path: str, root: Path) -> str:
    with pytest.raises(RefusedError) as raised:
        read_source(Source(name="t", file=path), root)
    (finding,) = raised.value.findings
    return finding.code


@pytest.mark.parametrize(
    "path",
    [
        "../secret.csv",
        "a/../../secret.csv",
        "..",
        "/etc/passwd",
        "~/secret.csv",
        "$HOME/secret.csv",
        "a/${HOME}/x.csv",
        "\\\\server\\share\\x.csv",
        "..\\secret.csv",
        "C:/x.csv",
        "file://x.csv",
        "https://example.org/x.csv",
        "a\nb.csv",
        "a\x1b[31m.csv",
    ],
)
def test_paths_that_leave_the_folder_are_refused(path, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.csv").write_bytes(PLAIN)
    assert code(path, root) == "E-FILE-PATH"


def test_a_link_may_not_lead_outside(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.csv").write_bytes(PLAIN)
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    (root / "inside.csv").write_bytes(PLAIN)
    (root / "good.csv").symlink_to(root / "inside.csv")
    assert code("link.csv", root) == "E-FILE-PATH"
    assert locate("good.csv", root).read_bytes() == PLAIN


def test_a_file_named_on_the_command_line_may_be_anywhere(tmp_path):
    (tmp_path / "x.csv").write_bytes(PLAIN)
    assert len(read_file(tmp_path / "x.csv", Source(name="t", file="x.csv", id="ID")).frame) == 1


def test_what_is_no_plain_file(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nothing.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    start = time.monotonic()
    assert code("folder.csv", tmp_path) == "E-SOURCE-TABLE"
    assert code("pipe.csv", tmp_path) == "E-FILE-KIND"
    assert code("dangling.csv", tmp_path) == "E-FILE-MISSING"
    assert code("missing.csv", tmp_path) == "E-FILE-MISSING"
    assert code("loop.csv", tmp_path) == "E-FILE-READ"
    assert code("x" * 4096, tmp_path) == "E-FILE-READ"
    assert code("a\0b.csv", tmp_path) == "E-FILE-PATH"
    with pytest.raises(RefusedError, match="E-FILE-KIND"):
        read_payload(Path("/dev/zero"), "zero")
    assert time.monotonic() - start < 2


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser can read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "x.csv").write_bytes(PLAIN)
    (tmp_path / "x.csv").chmod(0)
    assert code("x.csv", tmp_path) == "E-FILE-READ"


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_bytes(PLAIN)
    real = Path.open

    def growing(self, *args, **kwargs):
        with real(self, "ab") as stream:
            stream.write(b"b,2\n")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", growing)
    assert code("x.csv", tmp_path) == "E-FILE-CHANGED"


def test_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr("../a.csv", PLAIN)
    with zipfile.ZipFile(tmp_path / "folder.zip", "w") as archive:
        archive.writestr("folder/", "")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(PLAIN * 100)[:-12])
    (tmp_path / "cut.zip").write_bytes((tmp_path / "two.zip").read_bytes()[:-30])
    for name, expected in {
        "two.zip": "E-FILE-MEMBERS",
        "slip.zip": "E-FILE-MEMBERS",
        "folder.zip": "E-FILE-MEMBERS",
        "cut.gz": "E-FILE-DAMAGED",
        "cut.zip": "E-FILE-DAMAGED",
    }.items():
        assert code(name, tmp_path) == expected, name
    assert not (tmp_path.parent / "a.csv").exists()


def test_bombs_are_refused_early_and_real_data_are_not(tmp_path):
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 20_000_000, 9))
    start = time.monotonic()
    assert code("bomb.gz", tmp_path) == "E-FILE-BOMB"
    assert time.monotonic() - start < 5
    rows = b"".join(b"%d,%d\n" % (at, at * 7919 % 10_007) for at in range(300_000))
    (tmp_path / "real.gz").write_bytes(gzip.compress(b"ID,X\n" + rows))
    assert len(read_source(Source(name="t", file="real.gz"), tmp_path).frame) == 300_000


def test_an_oversized_file_is_not_opened(tmp_path):
    with (tmp_path / "big.csv").open("wb") as stream:
        stream.truncate((1 << 30) + 1)  # sparse: it takes no room
    start = time.monotonic()
    assert code("big.csv", tmp_path) == "E-FILE-SIZE"
    assert time.monotonic() - start < 1

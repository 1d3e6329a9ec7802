"""Files that are complete or absent."""

import errno
import os
from pathlib import Path

import pytest

from fgfa.errors import InputError
from fgfa.files import atomic_folder, atomic_write, remove_left_over


def test_file_appears_at_the_end_with_its_folders(tmp_path: Path):
    path = tmp_path / "a" / "b" / "out.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_failure_keeps_the_former_file(tmp_path: Path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(str(path)) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_one_sentence(tmp_path: Path, number: int):
    path = tmp_path / "out.txt"
    path.write_text("old")
    message = r"out\.txt cannot be written: .*; make room"
    with pytest.raises(InputError, match=message), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_no_file_can_have_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("file/out.txt", "file/a/out.txt", "folder", "n" * 300):
        with (
            pytest.raises(InputError, match=rf"{name} cannot be written: .*; choose another"),
            atomic_write(tmp_path / name) as temporary,
        ):
            temporary.write_text("half")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_folder_appears_at_the_end_and_whole(tmp_path: Path):
    path = tmp_path / "a" / "b.c"
    with atomic_folder(path) as part:
        (part / "x").write_text("new")
        assert not path.exists()
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("x")] == ["a/b.c/x"]
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "d") as part:
        (part / "x").write_text("half")
        raise KeyboardInterrupt
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_place_that_no_folder_can_have_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    for name in ("file", "file/a"):
        with (
            pytest.raises(InputError, match=rf"{name} cannot be written: .*; choose another"),
            atomic_folder(tmp_path / name) as part,
        ):
            (part / "x").touch()
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_other_errors_pass(tmp_path: Path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "out.txt"):
        (tmp_path / "missing").read_text()


def test_former_file_is_replaced(tmp_path: Path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_what_killed_programs_left_over_is_removed(tmp_path: Path):
    kept = [".x.part.json", "x.123.part.json", ".x.123.json", "a.part", ".part"]
    for name in kept:
        (tmp_path / name).write_text("")
    for path in (tmp_path / "x.mp4.json", tmp_path / "a" / "noSuffix"):
        block = atomic_write(path)
        block.__enter__().write_text("half")  # the program is killed here
        remove_left_over(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "a"])
    assert not list((tmp_path / "a").iterdir())


def test_left_over_files_of_a_folder_alone(tmp_path: Path):
    inner, outer = tmp_path / "a" / "x.json", tmp_path / "x.json"
    blocks = [atomic_write(path) for path in (inner, outer)]
    for block in blocks:
        block.__enter__().write_text("half")
    remove_left_over(tmp_path, below=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert list((tmp_path / "a").iterdir())

import errno
import json
import logging
from pathlib import Path

import pytest

from fgfa.data import annotation_cache
from fgfa.data.annotation_cache import cache_folder, read_annotations
from fgfa.data.annotation_xml import parse_annotation, read_annotation
from fgfa.errors import InputError

CATEGORIES = {"n1": 0, "n2": 1}
BOX = (1.0, 2.0, 30.0, 20.0)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(annotation_cache, "_MIN_FRAMES", 2)


@pytest.fixture
def paths(tiny_vid):
    tiny_vid.add_frame("a/0", [("n1", 3, BOX), ("n2", 4, BOX)])
    tiny_vid.add_frame("a/1", [("n3", 0, BOX)])
    tiny_vid.add_frame("a/2")
    folder = tiny_vid.root / "Annotations" / "VID" / "a"
    return [str(folder / f"{frame}.xml") for frame in range(3)]


@pytest.fixture
def parsed(monkeypatch):
    """Paths of the files that were parsed."""
    calls = []

    def parse(path, *rest):
        calls.append(path)
        return parse_annotation(path, *rest)

    monkeypatch.setattr(annotation_cache, "parse_annotation", parse)
    return calls


def _read(paths, categories=CATEGORIES):
    return read_annotations(paths, len(paths), categories, "annotations")


def test_files_are_parsed_once(paths, parsed):
    expected = [read_annotation(path, CATEGORIES) for path in paths]
    assert _read(paths) == expected
    assert parsed == paths
    again = _read(paths)
    assert again == expected
    assert repr(again) == repr(expected)  # with the types of all values
    assert parsed == paths


def test_a_file_with_new_content_is_noticed(paths, parsed, tiny_vid):
    _read(paths)
    tiny_vid.add_frame("a/2", [("n2", 0, BOX)])
    assert _read(paths)[2].objects[0]["category_id"] == 1
    assert len(parsed) == 6
    # The old state is not kept beside the new one.
    assert len(list(cache_folder().iterdir())) == 1


def test_contents_that_change_places_are_noticed(paths):
    before = _read(paths)
    assert _read(paths[::-1]) == before[::-1]
    first, last = Path(paths[0]), Path(paths[-1])
    text = first.read_text()
    first.write_text(last.read_text())
    last.write_text(text)
    assert _read(paths) == before[::-1]


def test_other_categories_are_kept_apart(paths, parsed):
    _read(paths)
    assert _read(paths, {"n3": 7})[1].objects[0]["category_id"] == 7
    assert _read(paths)[0].objects[0]["category_id"] == 0
    assert len(parsed) == 6


@pytest.mark.parametrize(
    "content", ["", "{", "5", "{}", '{"annotations": []}', b"\xff", None], ids=repr
)
def test_a_cache_file_that_cannot_be_used_is_replaced(paths, parsed, caplog, content):
    expected = _read(paths)
    (file,) = cache_folder().iterdir()
    if content is None:
        kept = json.loads(file.read_text())
        kept["annotations"][0] = 5
        content = json.dumps(kept)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with caplog.at_level(logging.WARNING):
        assert _read(paths) == expected
    assert "cannot be used" in caplog.text
    assert len(parsed) == 6
    assert _read(paths) == expected
    assert len(parsed) == 6


def test_a_folder_that_cannot_be_written(paths, caplog):
    cache_folder().parent.mkdir()
    cache_folder().write_text("a file in its place")
    with caplog.at_level(logging.WARNING):
        assert len(_read(paths)) == 3
    assert "cannot be written" in caplog.text


def test_a_disk_that_is_full(paths, caplog, monkeypatch):
    def write_text(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_text)
    with caplog.at_level(logging.WARNING):
        assert len(_read(paths)) == 3
    assert "No space left" in caplog.text


def test_few_files_are_not_kept(paths, parsed):
    _read(paths[:1])
    _read(paths[:1])
    assert len(parsed) == 2
    assert not cache_folder().exists()


def test_errors_name_the_file(paths):
    Path(paths[1]).write_text("<annotation>")
    with pytest.raises(InputError, match=r"1\.xml: not a complete XML file"):
        _read(paths)
    with pytest.raises(InputError, match=r"3\.xml: the annotation file cannot be read"):
        _read([*paths, paths[0].replace("0.xml", "3.xml")])

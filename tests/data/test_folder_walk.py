from pathlib import Path

import pytest

from fgfa.data.folder_walk import walk_folders
from fgfa.errors import InputError


def walked(root: Path) -> list[str]:
    return [
        (folder.relative_to(root) / name).as_posix()
        for folder, names in walk_folders(root)
        for name in names
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("root/b/2", "root/b/1", "root/a/3", "elsewhere/4"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path / "root"


def test_files_in_order_and_through_links(root: Path):
    (root / "c").symlink_to(root.parent / "elsewhere")
    (root / "a" / "linked").symlink_to("3")
    assert walked(root) == ["a/3", "a/linked", "b/1", "b/2", "c/4"]


def test_folder_that_is_a_link(root: Path):
    (root.parent / "link").symlink_to(root)
    assert walked(root.parent / "link") == ["a/3", "b/1", "b/2"]


def test_folder_that_stands_twice(root: Path):
    (root / "c").symlink_to("a")
    assert walked(root) == ["a/3", "b/1", "b/2", "c/3"]


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ({"a/up": ".."}, []),
        ({"a/self": "."}, []),
        ({"a/over": "../b", "b/back": "../a"}, ["a/over/1", "a/over/2", "b/back/3"]),
        ({"a/out": "../.."}, ["a/out/elsewhere/4"]),
    ],
    ids=["parent", "itself", "two", "above the first"],
)
def test_links_that_lead_back_end(links: dict[str, str], found: list[str], root: Path):
    for link, target in links.items():
        (root / link).symlink_to(target)
    assert walked(root) == sorted(["a/3", "b/1", "b/2", *found])


@pytest.mark.parametrize("target", ["gone", "link"])
def test_link_that_leads_nowhere(target: str, root: Path):
    (root / "a" / "link").symlink_to(target)
    with pytest.raises(InputError, match=r"root/a/link: the link leads nowhere"):
        walked(root)


def test_folder_that_is_missing(root: Path):
    with pytest.raises(InputError, match=r"root/none: the folder cannot be read \(No such"):
        walked(root / "none")

"""Names in the pages are those of what is there: config keys, files, links; no page is left out."""

import re
from pathlib import Path

import pytest
import yaml
from detectron2.config import CfgNode

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED_PAGES = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "projects/FGFA/README.md"]


def outside_of_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_config_keys(page, tiny_cfg):
    for key in re.findall(r"(?<![\w.])[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)+\b", page.read_text("utf-8")):
        node = tiny_cfg
        for name in key.split("."):
            assert isinstance(node, CfgNode) and name in node, key
            node = node[name]


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: page.name)
def test_links(page):
    text = outside_of_blocks(page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            linked = page.parent / path if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked.read_text("utf-8")), target


def anchors(text: str) -> set[str]:
    """What headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", outside_of_blocks(text), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: page.name)
def test_paths(page):
    roots = (ROOT, ROOT / "projects/FGFA", ROOT / "projects/FGFA/fgfa")
    folders = r"(?:\.ci|configs|data|docs|evaluation|fgfa|modeling|projects|scripts|tests)"
    text = outside_of_blocks(page.read_text("utf-8"))
    for path in re.findall(rf"`({folders}/[\w./*]+)[` ]", text):
        assert any(list(root.glob(path)) for root in roots), path


def test_index_leads_to_every_page():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = [page.name for page in PAGES if page.parent.name == "docs"]
    linked = ["index.md", *re.findall(r"^\d+\. \[.+\]\((.+)\)", index, re.MULTILINE)]
    assert sorted(linked) == pages
    assert [page for entry in nav for page in entry.values()] == linked

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fgfa.evaluation.analysis import analyze
from fgfa.evaluation.bootstrap import draw_videos
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.records import Detections
from fgfa.report import write_page


class _Checker(HTMLParser):
    """Collects text, images and what a page would fetch; fails where elements do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.images, self.fetched, self._open = "", [], [], []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "img":
            self.images.append(attributes["src"].split(";")[0])
        source = attributes.get("src", attributes.get("href", "data:"))
        self.fetched += [] if source.startswith("data:") else [source]
        if tag not in ("img", "meta"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def write(tmp_path, dicts, videos):
    def write(analyses) -> _Checker:
        path = tmp_path / "new" / "page.html"
        write_page(path, "A & B", analyses, dicts, videos)
        return _Checker(path.read_text(encoding="utf-8"))

    return write


def test_page_needs_nothing_beside_itself(write, analyses, tmp_path):
    page = write(analyses)
    assert page.fetched == []
    assert not re.search(r"url\(|@import", (tmp_path / "new" / "page.html").read_text())


def test_page_compares_models(write, analyses):
    page = write(analyses)
    assert "A & B" in page.text
    assert "2 videos, 16 frames, 16 boxes" in page.text
    # The name of the model is shown as it is, and not taken for markup.
    assert "<b>half</b> − good" in page.text
    assert "50 bootstrap samples" in page.text
    # AP, gains, four curves, four errors.
    assert page.images.count("data:image/svg+xml") == 10


def test_worst_video_comes_first(write, analyses):
    page = write(analyses)
    assert page.text.index("video <1>") < page.text.index("video <0>")
    assert "<b>half</b>: AP50 0.0, 8 of 8 boxes missed" in page.text
    # Six frames of two videos for each model.
    assert page.images.count("data:image/jpeg") == 24


def test_video_without_boxes_is_not_among_the_worst(write, dicts, videos):
    for frame in dicts[8:]:
        frame["annotations"] = []
    found = Detections(
        np.arange(1, 9), np.zeros(8, int), np.full(8, 0.5), np.full((8, 4), (20.0, 40, 99, 99))
    )
    protocol = MsraProtocol(dicts, ["cat"])
    page = write([analyze("a model", found, protocol, videos, draw_videos(2, 0))])
    assert "video <0>" in page.text
    assert "video <1>" not in page.text and "nan" not in page.text


def test_single_model_has_no_gains(write, analyses):
    page = write(analyses[:1])
    assert "−" not in page.text
    assert page.images.count("data:image/svg+xml") == 9


def test_page_without_images(write, analyses, dicts):
    for frame in dicts:
        Path(frame["file_name"]).unlink()
    page = write(analyses)
    assert "The images of this video are not here." in page.text
    assert "data:image/jpeg" not in page.images

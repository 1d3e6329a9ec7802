import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.dataset_check.annotation_checks import check_annotations, steps_by_size
from fgfa.dataset_check.box_table import BoxTable
from fgfa.dataset_check.findings import Kind

BOX = (10, 10, 20, 20)


def found(dicts: list[dict], names: tuple[str, ...] = ("cat",)) -> dict[Kind, tuple[str, ...]]:
    findings = check_annotations(BoxTable.of_dicts(dicts), names)
    assert len({finding.kind for finding in findings}) == len(findings)
    assert all(finding.count == len(finding.places) for finding in findings)
    return {finding.kind: finding.places for finding in findings}


def test_nothing_to_find(video):
    frames = [[(BOX, 1, 0)], [], [((0, 0, 60, 40), 2, 0), ((11, 10, 21, 20), 1, 0)]]
    assert found(video(*frames)) == {}


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((10, 10, 10, 20), Kind.EMPTY_BOX),
        ((10, 20, 20, 10), Kind.EMPTY_BOX),
        ((60, 10, 70, 20), Kind.BOX_OUTSIDE),
        ((10, -9, 20, 0), Kind.BOX_OUTSIDE),
        ((-2, 10, 20, 20), Kind.BOX_ACROSS_BORDER),
        ((10, 10, 20, 42), Kind.BOX_ACROSS_BORDER),
        ((-1, 10, 61, 20), None),  # the border of one of the conventions
    ],
)
def test_places_of_boxes(box, kind: Kind | None, video):
    places = found(video([(BOX, 1, 0), (box, 2, 0)]))
    corners = ", ".join(f"{corner:g}" for corner in box)
    assert places == ({} if kind is None else {kind: (f"a/0.jpg: box {corners} of track 2",)})


def test_boxes_in_frames_of_unknown_size(video):
    frames = video([((-9, 10, 90, 20), 1, 0)])
    frames[0]["width"] = frames[0]["height"] = 0
    assert found(frames) == {}


def test_boxes_without_track(video):
    assert found(video([(BOX, None, 0), (BOX, 1, 0)], [(BOX, None, 0)])) == {
        Kind.NO_TRACK: ("a/0.jpg: box 10, 10, 20, 20", "a/1.jpg: box 10, 10, 20, 20")
    }


def test_track_with_two_boxes_in_a_frame(video):
    assert found(video([(BOX, 1, 0), ((10, 10, 20, 21), 1, 0)], [(BOX, 1, 0)])) == {
        Kind.REPEATED_TRACK: ("a/0.jpg: box 10, 10, 20, 21 of track 1",)
    }


def test_track_that_changes_its_class(video):
    places = found(video([(BOX, 1, 0)], [], [(BOX, 1, 1)]), ("cat", "dog"))
    assert places == {Kind.TRACK_OF_CLASSES: ("a/2.jpg: box 10, 10, 20, 20 of track 1",)}


def test_jumps_between_adjacent_frames_of_a_video(video):
    def at(x: float) -> list[tuple]:
        return [((x, 10, x + 10, 20), 1, 0)]

    frames = video(at(0), at(10), at(21), at(50), [], at(0))
    frames += video(at(30), name="b", first_id=7)
    assert found(frames) == {
        Kind.JUMP: (
            "a/3.jpg: box 50, 10, 60, 20 of track 1 moved by 2.9 of its size",
            "a/2.jpg: box 21, 10, 31, 20 of track 1 moved by 1.1 of its size",
        )
    }


def test_odd_videos_and_classes(video):
    frames = video([(BOX, 1, 0)], [(BOX, 1, 0)]) + video([], [], name="b", first_id=2)
    frames[1]["height"] = 41
    assert found(frames, ("cat", "dog")) == {
        Kind.SHARED_IMAGE_ID: ("a/1.jpg: image_id 2", "b/0.jpg: image_id 2"),
        Kind.FRAME_SIZES: ("video a: 60x40, 60x41",),
        Kind.VIDEO_WITHOUT_BOXES: ("video b, 2 frames",),
        Kind.CLASS_WITHOUT_BOXES: ("dog",),
    }


frames_of_boxes = st.lists(
    st.lists(
        st.tuples(
            st.tuples(*[st.integers(0, 20)] * 4).map(
                lambda c: (c[0], c[1], c[0] + c[2], c[1] + c[3])
            ),
            st.none() | st.integers(0, 2),
            st.just(0),
        ),
        max_size=3,
        unique_by=lambda item: item[1],
    ),
    min_size=1,
    max_size=5,
)


def steps_slowly(dicts: list[dict]) -> list[float]:
    steps = []
    for before, after in pairwise(dicts):
        for one in before["annotations"]:
            for two in after["annotations"]:
                if "track_id" in one and one["track_id"] == two.get("track_id"):
                    (a, b, c, d), (e, f, g, h) = one["bbox"], two["bbox"]
                    size = math.sqrt(((c - a) * (d - b) + (g - e) * (h - f)) / 2)
                    moved = math.hypot((a + c - e - g) / 2, (b + d - f - h) / 2)
                    steps.append(moved / max(size, 1))
    return steps


@given(frames_of_boxes)
def test_steps_are_those_of_a_plain_loop(frames):
    paths = list(range(len(frames)))
    dicts = [
        {
            "video_id": "a",
            "frame_index": index,
            "annotations": [
                {"bbox": box, "category_id": 0} | ({} if track is None else {"track_id": track})
                for box, track, _ in frames[index]
            ],
        }
        for index in paths
    ]
    _, steps = steps_by_size(BoxTable.of_dicts(dicts))
    assert sorted(steps) == pytest.approx(sorted(steps_slowly(dicts)))

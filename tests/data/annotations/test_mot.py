from collections.abc import Callable
from pathlib import Path

import pytest

from fgfa.data.annotations.mot import mot_name, read_mot
from fgfa.data.annotations.video_boxes import FrameBox
from fgfa.errors import InputError

SEQUENCE = "[Sequence]\nname=a\nimDir=img1\nframeRate=30\nseqLength=3\nimWidth=60\nimHeight=40\n"


@pytest.fixture
def sequence(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, *, seqinfo: str | None = None, labels: str | None = None) -> Path:
        folder = tmp_path / "clip"
        (folder / "gt").mkdir(parents=True)
        (folder / "gt" / "gt.txt").write_text(text)
        if seqinfo is not None:
            (folder / "seqinfo.ini").write_text(seqinfo)
        if labels is not None:
            (folder / "gt" / "labels.txt").write_text(labels)
        return folder

    return write


def test_ground_truth_of_mot16(sequence, write_frames):
    text = "1,7,11,21,5,8,1,1,0.5\n\n3, 7, 12.5, 21, 5, 8, 1, 3, 1\n2,8,1,1,4,4,0,8,1\n"
    read = read_mot(sequence(text, seqinfo=SEQUENCE), write_frames("clip/img1"))
    assert read.images == range(3)
    assert read.boxes == [
        FrameBox(0, "pedestrian", (10, 20, 15, 28), 7),
        FrameBox(2, "car", (11.5, 20, 16.5, 28), 7),
    ]
    (sentence,) = read.left_out
    assert sentence.endswith("gt.txt: 1 boxes of confidence 0")


def test_byte_order_mark_is_no_part_of_the_text(sequence, write_frames):
    read = read_mot(sequence("\ufeff1,7,11,21,5,8,1", seqinfo="\ufeff" + SEQUENCE), write_frames())
    assert [box.track_id for box in read.boxes] == [7]


def test_detections_have_no_track_and_class_1(sequence, write_frames, tmp_path: Path):
    folder = sequence("")
    (folder / "det").mkdir()
    detections = folder / "det" / "det.txt"
    detections.write_text("2,-1,1,1,4,4,-3.5,-1,-1,-1\n")
    assert read_mot(detections, write_frames()).boxes == [
        FrameBox(1, "pedestrian", (0, 0, 4, 4), None)
    ]
    assert mot_name(detections) == mot_name(folder) == "clip"


def test_classes_are_named_by_labels(sequence, write_frames):
    folder = sequence("1,0,1,1,4,4,1,2\n", labels="cat\ndog\n\n")
    assert read_mot(folder, write_frames()).boxes == [FrameBox(0, "dog", (0, 0, 4, 4), 0)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1,1,1,1,4,4", "'1,1,1,1,4,4' is not frame, id, left, top"),
        ("1,1,1,1,4,4,1,1,1,1,1", "is not frame, id"),
        ("1,1,a,1,4,4,1", "is not frame, id"),
        ("1,1,nan,1,4,4,1", "is not frame, id"),
        ("0,1,1,1,4,4,1", "frame 0 is not one of the 3 frames from 1"),
        ("4,1,1,1,4,4,1", "frame 4 is not one of the 3 frames from 1"),
        ("1.5,1,1,1,4,4,1", "frame 1.5 is not"),
        ("1,1.5,1,1,4,4,1", "id 1.5 is no whole number"),
        ("1,1,1,1,-4,4,1", "width -4 and height 4 must be 0 or more"),
        ("1,1,1,1,4,4,1,14,1", "class 14 has no name; name the classes from 1 in labels.txt"),
        ("1,1,1,1,4,4,1,1.5,1", "class 1.5 has no name"),
    ],
)
def test_wrong_line(line: str, sentence: str, sequence, write_frames):
    folder = sequence(f"1,1,1,1,4,4,1\n{line}\n")
    with pytest.raises(InputError, match=r"gt\.txt, line 2: ") as caught:
        read_mot(folder, write_frames())
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("seqinfo", "sentence"),
    [
        (SEQUENCE.replace("=3", "=4"), "seqinfo.ini, seqLength: 4 frames, but"),
        (SEQUENCE.replace("60", "61"), "seqinfo.ini, imWidth and imHeight: frames of 61x40 pixels"),
        (SEQUENCE.replace("=3\n", "=three\n"), "needs whole numbers seqLength"),
        (SEQUENCE.replace("imWidth", "width"), "needs whole numbers seqLength"),
        ("[sequence", "needs whole numbers seqLength"),
    ],
)
def test_sequence_that_does_not_fit(seqinfo: str, sentence: str, sequence, write_frames):
    folder = sequence("", seqinfo=seqinfo)
    with pytest.raises(InputError, match=r"seqinfo\.ini") as caught:
        read_mot(folder, write_frames())
    assert sentence in str(caught.value)


def test_missing_text(write_frames, tmp_path: Path):
    with pytest.raises(InputError, match=r"gt\.txt: the file cannot be read \(No such file"):
        read_mot(tmp_path / "none" / "gt" / "gt.txt", write_frames())

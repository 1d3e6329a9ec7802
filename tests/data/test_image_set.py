import pytest

from fgfa.data.image_set import read_image_set
from fgfa.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        path = tmp_path / "list.txt"
        path.write_text("\n".join(lines))
        return path

    return write


def test_video_lists_every_frame(write):
    first, second = read_image_set(write("val/a 829 364 3", "val/b 1 0 2", ""))
    assert first.video_id == "val/a"
    assert list(first.stems) == ["val/a/000364", "val/a/000365", "val/a/000366"]
    assert first.listed == range(3)
    assert first.first_image_id == 829
    assert (len(second.stems), second.first_image_id) == (2, 1)


def test_byte_order_mark_is_no_part_of_a_path(write):
    (clip,) = read_image_set(write("\ufeffval/a 1 0 2"))
    assert clip.stems[0] == "val/a/000000"


def test_still_is_a_video_of_one_frame(write):
    (_, still) = read_image_set(write("train/x/000001 1", "train/ILSVRC2014_train_00000663 1"))
    assert list(still.stems) == [still.video_id] == ["train/ILSVRC2014_train_00000663"]
    assert still.listed == range(1)
    assert still.first_image_id == 2


def test_stills_keep_ids_that_differ(write):
    clips = read_image_set(write("val/a/000004 40", "val/a/000001 37"))
    assert [clip.first_image_id for clip in clips] == [40, 37]


def test_stills_with_an_id_twice_are_numbered_by_line(write):
    clips = read_image_set(write("val/a/000004 40", "val/a/000001 37", "val/b/000001 40"))
    assert [clip.first_image_id for clip in clips] == [1, 2, 3]


def test_key_frames_are_recognized_by_their_constant_column(write):
    clips = read_image_set(write("train/a 1 10 300", "train/a 1 30 300"))
    assert [list(clip.listed) for clip in clips] == [[10], [30]]
    assert [clip.first_image_id for clip in clips] == [1, 2]
    assert clips[0].stems[0] == "train/a/000000"
    assert len(clips[0].stems) == 300


@pytest.mark.parametrize(("key_frames", "listed"), [(None, 8), (False, 8), (True, 1)])
def test_kind_of_a_single_line_can_be_given(write, key_frames, listed):
    (clip,) = read_image_set(write("train/a 1 3 8"), key_frames)
    assert len(clip.listed) == listed


def test_stills_beside_videos_have_ids_of_their_own(write):
    clips = read_image_set(write("still/a 1", "val/a 1 0 3", "val/b 4 0 3"))
    assert [clip.first_image_id for clip in clips] == [7, 1, 4]


def test_clips_of_one_video_have_ids_of_their_own(write):
    clips = read_image_set(write("val/a 1 0 3", "val/a 4 3 3", "val/b 7 0 3"))
    assert [clip.video_id for clip in clips] == ["val/a/000000", "val/a/000003", "val/b"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("val/a 1 0", "3 fields"),
        ("val/a", "1 fields"),
        ("val/a 1 0 5 6", "5 fields"),
        ("val/a 1 x 5", "whole numbers"),
        ("val/a 1 -1 5", "whole numbers"),
        ("val/a one", "whole numbers"),
        ("val/a 0 0 5", "count from 1"),
        ("val/a 3 0 0", "at least one frame"),
    ],
)
def test_malformed_line_is_named(write, line, problem):
    with pytest.raises(InputError, match=rf"list\.txt, line 2: .*{problem}"):
        read_image_set(write("val/first 100 0 5", line))


def test_wrong_number_of_fields_says_what_was_expected(write):
    with pytest.raises(InputError, match=r"expected 'path id'.*first_global_id first_frame length"):
        read_image_set(write("val/a 1 0"))


def test_shared_global_ids(write):
    with pytest.raises(InputError, match=r"line 1: global id 4 .* of a frame of line 2"):
        read_image_set(write("val/a 4 0 5", "val/b 1 0 4"))


def test_key_frame_outside_its_video(write):
    with pytest.raises(InputError, match=r"line 2: key frame 8 is not one of the 8 frames"):
        read_image_set(write("train/a 1 7 8", "train/a 1 8 8"))


def test_empty_and_missing_list(write, tmp_path):
    with pytest.raises(InputError, match="the list is empty"):
        read_image_set(write("", " "))
    with pytest.raises(InputError, match=r"absent\.txt: the list file cannot be read"):
        read_image_set(tmp_path / "absent.txt")


def test_official_lists(shared_dir):
    videos = read_image_set(shared_dir / "official" / "VID_val_videos.txt")
    ids = [clip.first_image_id + i for clip in videos for i in clip.listed]
    assert ids == list(range(1, 176_127))

    key_frames = read_image_set(shared_dir / "official" / "VID_train_15frames.txt")
    assert len(key_frames) == 57_834
    assert {len(clip.listed) for clip in key_frames} == {1}

    stills = read_image_set(shared_dir / "official" / "DET_train_30classes.txt")
    assert len({clip.first_image_id for clip in stills}) == 53_639

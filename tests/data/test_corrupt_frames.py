"""Frames that cannot be read: what evaluation makes of them."""

import numpy as np
import pytest

from fgfa.data.corrupt_frames import skips_corrupt_frames
from fgfa.data.imagenet_vid import register_imagenet_vid
from fgfa.data.loaders import build_test_loader
from fgfa.errors import InputError


@pytest.fixture
def videos(tiny_vid, dataset_name):
    """Two registered clips of 5 and 3 frames; frames 1 and 4 of the first are broken."""
    tiny_vid.add_clip("a", 0, 5)
    tiny_vid.add_clip("b", 0, 3)
    tiny_vid.write_list("val", "a 1 0 5", "b 6 0 3")
    for number in (1, 4):
        path = tiny_vid.image_path(f"a/{number:06d}")
        path.write_bytes(path.read_bytes()[:300])
    register_imagenet_vid(dataset_name, tiny_vid.root, "val", class_names=["dog"])
    return dataset_name


def test_they_stop_by_default(cfg, videos):
    assert not skips_corrupt_frames(cfg)
    with pytest.raises(InputError, match=r"a/000001\.JPEG: the image cannot be read"):
        list(build_test_loader(cfg, videos))


def test_their_video_goes_on_without_them(cfg, videos, caplog):
    cfg.TEST.CORRUPT_FRAMES = "skip"
    frames = [frame for batch in build_test_loader(cfg, videos) for frame in batch]
    assert [frame["image_id"] for frame in frames] == [1, 3, 4, 6, 7, 8]
    assert [frame["frame_index"] for frame in frames] == [0, 1, 2, 0, 1, 2]
    assert {frame["video_length"] for frame in frames} == {3}
    # The window of the first frame holds all that are left of its video, of gray 0, 20 and 30.
    grays = [int(image[0, 0, 0]) for image in frames[0]["new_frames"]]
    np.testing.assert_allclose(grays, [0, 20, 30], atol=2)
    assert "2 of 8 frames cannot be read and are left out" in caplog.text
    assert "a/000001.JPEG" in caplog.text


def test_a_single_frame_model_leaves_them_out(cfg, videos):
    cfg.TEST.CORRUPT_FRAMES = "skip"
    cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    frames = [frame for batch in build_test_loader(cfg, videos) for frame in batch]
    np.testing.assert_allclose([int(f["image"][0, 0, 0]) for f in frames[:3]], [0, 20, 30], atol=2)


def test_no_frame_is_one_sentence(cfg, videos, tiny_vid):
    cfg.TEST.CORRUPT_FRAMES = "skip"
    for path in tiny_vid.root.rglob("*.JPEG"):
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"no frame can be read, such as: .*a/000000\.JPEG"):
        build_test_loader(cfg, videos)


def test_another_choice_is_one_sentence(cfg, videos):
    cfg.TEST.CORRUPT_FRAMES = "ignore"
    with pytest.raises(
        InputError, match=r"TEST\.CORRUPT_FRAMES is 'ignore'; set it to stop or skip"
    ):
        build_test_loader(cfg, videos)

from pathlib import Path

import pytest
from PIL import Image

from fgfa.dataset_check.findings import Kind
from fgfa.dataset_check.image_checks import Images, check_images


@pytest.fixture
def frames(video, tmp_path: Path) -> list[dict]:
    """Frame 0 of a video of four: frame 1 is missing, 2 broken, 3 of another size."""
    frames = video([], [], [], [], name=str(tmp_path))
    for index, size in enumerate([(60, 40), None, (60, 40), (40, 60)]):
        if size is not None:
            Image.new("RGB", size).save(tmp_path / f"{index}.jpg")
    broken = tmp_path / "2.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    return frames[:1]


def test_images_of_frames_and_of_their_neighbors(frames, tmp_path: Path):
    missing, unusable = check_images(frames, Images.READ)
    assert (missing.kind, missing.places) == (Kind.MISSING_IMAGE, (f"{tmp_path}/1.jpg",))
    assert (unusable.kind, unusable.count) == (Kind.UNUSABLE_IMAGE, 2)
    assert unusable.places[0].startswith(f"{tmp_path}/2.jpg: the image cannot be read")
    assert f"{tmp_path}/3.jpg: the image has 40x60 pixels" in unusable.places[1]


def test_images_that_are_not_read(frames):
    (missing,) = check_images(frames, Images.FIND)
    assert missing.kind is Kind.MISSING_IMAGE
    assert check_images(frames, Images.SKIP) == []


def test_frames_of_unknown_size_are_not_compared(frames):
    frames[0]["height"] = 0
    (missing,) = check_images(frames, Images.READ)
    assert missing.kind is Kind.MISSING_IMAGE

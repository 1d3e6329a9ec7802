"""Images of a video: found, named, read."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from fgfa.data.image_files import find_images, names_below_common_folder, read_images
from fgfa.errors import InputError


def test_images_are_found_once_and_in_natural_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ["frame10.jpg", "frame2.jpg", "frame²1.jpg", "frame1.jpg", "note.txt"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    found = find_images([str(tmp_path / "*.jpg"), "frame2.jpg", "./frame2.jpg"])
    assert [Path(path).name for path in found] == [
        f"frame{number}.jpg" for number in ("1", "2", "10", "²1")
    ]


def test_file_whose_name_looks_like_a_glob_is_found(tmp_path: Path):
    path = tmp_path / "frame[1].jpg"
    path.touch()
    assert find_images([str(path)]) == [str(path)]


def test_glob_without_files_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match=r"no image file matches .*\*\.jpg"):
        find_images([str(tmp_path / "*.jpg")])


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["frames/a.jpg", "frames/b.jpg"], ["a.jpg", "b.jpg"]),
        (["cat/a.jpg", "./dog/a.jpg"], ["cat/a.jpg", "dog/a.jpg"]),
        (["x/a.jpg", "x/deep/a.jpg", "x/y/../b.jpg"], ["a.jpg", "deep/a.jpg", "b.jpg"]),
        (["only/a.jpg"], ["a.jpg"]),
    ],
)
def test_names_tell_files_of_different_folders_apart(paths: list[str], names: list[str]):
    assert names_below_common_folder(paths) == names


def test_images_are_read_as_bgr_and_only_when_needed(tmp_path: Path):
    red = np.zeros((4, 6, 3), np.uint8)
    red[:, :, 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), red)
    frames = read_images([str(tmp_path / "red.png"), str(tmp_path / "missing.png")])
    np.testing.assert_array_equal(next(frames), red)
    with pytest.raises(InputError, match=r"missing\.png: the frame does not exist"):
        next(frames)


# What makes an upright image of a stored one, by the orientation that its EXIF data says.
UPRIGHT = {
    **{1: lambda i: i, 2: np.fliplr, 3: lambda i: np.rot90(i, 2), 4: np.flipud},
    **{5: lambda i: i.swapaxes(0, 1), 6: lambda i: np.rot90(i, -1), 8: np.rot90},
    **{7: lambda i: np.rot90(i, 2).swapaxes(0, 1), 9: lambda i: i},
}


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_turned_upright_by_exif(suffix: str, orientation: int, tmp_path: Path):
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(stored[:, :, ::-1]).save(tmp_path / f"a.{suffix}", exif=exif)
    (image,) = read_images([str(tmp_path / f"a.{suffix}")])
    np.testing.assert_array_equal(image, UPRIGHT[orientation](stored))


def test_images_are_turned_upright_whatever_else_exif_says(tmp_path: Path):
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.XResolution] = 6, 72.0
    rational, text = (struct.pack(">HH", ExifTags.Base.XResolution, kind) for kind in (5, 2))
    broken = exif.tobytes().replace(rational, text)
    Image.fromarray(stored[:, :, ::-1]).save(tmp_path / "a.png", exif=broken)
    with Image.open(tmp_path / "a.png") as image, pytest.raises(TypeError):
        ImageOps.exif_transpose(image)
    (image,) = read_images([str(tmp_path / "a.png")])
    np.testing.assert_array_equal(image, np.rot90(stored, -1))


def test_broken_image_is_one_sentence(tmp_path: Path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    with pytest.raises(InputError, match=r"broken\.jpg: the image cannot be read"):
        list(read_images([str(tmp_path / "broken.jpg")]))

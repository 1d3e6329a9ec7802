import numpy as np
import pytest
from PIL import Image

from fgfa.data.frame_reading import read_frame
from fgfa.errors import InputError


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_order_of_channels(tmp_path, image):
    path = str(tmp_path / "frame.png")
    Image.fromarray(image).save(path)
    np.testing.assert_array_equal(read_frame(path, "RGB", (40, 60)), image)
    np.testing.assert_array_equal(read_frame(path, "BGR", (40, 60)), image[:, :, ::-1])


def test_gray_image_has_three_channels(tmp_path, image):
    path = str(tmp_path / "frame.png")
    Image.fromarray(image[:, :, 0]).save(path)
    assert read_frame(path, "RGB", (40, 60)).shape == (40, 60, 3)


def test_rotation_in_exif_is_not_applied(tmp_path, image):
    path = str(tmp_path / "frame.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees
    Image.fromarray(image).save(path, exif=exif)
    np.testing.assert_array_equal(read_frame(path, "RGB", (40, 60)), image)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"frame\.jpg: the frame does not exist"):
        read_frame(str(tmp_path / "frame.jpg"), "RGB", (40, 60))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_truncated_file(tmp_path, image, suffix, kept):
    path = tmp_path / f"frame{suffix}"
    Image.fromarray(image).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(InputError, match=rf"frame\{suffix}: the image cannot be read"):
        read_frame(str(path), "RGB", (40, 60))


def test_broken_png(tmp_path, image):
    path = tmp_path / "frame.png"
    Image.fromarray(image).save(path)
    data = bytearray(path.read_bytes())
    data[-40:-20] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"frame\.png: the image cannot be read"):
        read_frame(str(path), "RGB", (40, 60))


def test_size_other_than_annotated(tmp_path, image):
    path = str(tmp_path / "frame.png")
    Image.fromarray(image).save(path)
    with pytest.raises(InputError, match=r"frame\.png: the image has 60x40 .* says 40x60"):
        read_frame(path, "RGB", (60, 40))

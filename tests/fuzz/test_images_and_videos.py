"""Hostile images and videos."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fgfa.data.frame_reading import read_frame
from fgfa.data.image_files import read_images
from fgfa.data.video_reading import VideoReader

av = pytest.importorskip("av")

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def encoded(image_format: str) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x112] = 3  # turned by half
    Image.fromarray(PIXELS).save(buffer, image_format, exif=exif)
    return buffer.getvalue()


def read_image(path: Path) -> None:
    for image in read_images([str(path)]):
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    read_frame(str(path), "RGB", (48, 64))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_images(image_format: str, fuzz) -> None:
    fuzz.run(read_image, f"a.{image_format.lower()}", [encoded(image_format)], share=0.5)


def video(container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for shift in range(4):
            image = np.roll(PIXELS, shift, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return buffer.getvalue()


def read_video(path: Path) -> None:
    for image in VideoReader(str(path)):
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "mpeg4"),
        ("mp4", "libx264"),
        ("matroska", "libx264"),
        ("avi", "mpeg4"),
        ("mpegts", "mpeg4"),
    ],
)
def test_videos(container: str, codec: str, fuzz) -> None:
    fuzz.run(read_video, f"a.{container}", [video(container, codec)], share=0.2)

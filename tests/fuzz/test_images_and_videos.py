"""Hostile images and videos."""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fgfa.data.frame_reading import read_frame
from fgfa.data.image_files import read_images
from fgfa.data.video_reading import VideoReader
from fgfa.errors import InputError

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


def png_of(width: int, height: int) -> bytes:
    """A PNG file whose head says a size, with the pixels of a smaller one."""
    content = encoded("PNG")
    chunk = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


@pytest.mark.parametrize("side", [8193, 60_000])
def test_image_that_says_to_be_huge(side: int, fuzz) -> None:
    path = fuzz.folder / "a.png"
    path.write_bytes(png_of(side, side))
    with fuzz.case(path), pytest.raises(InputError, match="cannot be read"):
        list(read_images([str(path)]))
    with fuzz.case(path), pytest.raises(InputError, match="cannot be read"):
        read_frame(str(path), "RGB", (side, side))


def test_image_of_another_size_is_not_decoded(fuzz) -> None:
    path = fuzz.folder / "a.png"
    path.write_bytes(png_of(8000, 8000))
    with fuzz.case(path), pytest.raises(InputError, match="has 8000x8000 pixels, but"):
        read_frame(str(path), "RGB", (48, 64))


def test_no_program_is_started_for_an_image(fuzz) -> None:
    path = fuzz.folder / "a.jpg"
    Image.fromarray(PIXELS).save(path, "EPS")  # which Pillow leaves to Ghostscript
    with pytest.raises(InputError, match="of no kind that is known"):
        list(read_images([str(path)]))


@pytest.mark.parametrize("has_pyav", [True, False], ids=["av", "opencv"])
@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8"])
@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile inside.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ninside.mp4\n#EXT-X-ENDLIST\n",
    ],
    ids=["concat", "hls"],
)
def test_playlist_is_no_video(
    text: str, name: str, has_pyav: bool, fuzz, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fuzz.folder / "inside.mp4").write_bytes(video("mp4", "mpeg4"))
    if not has_pyav:
        monkeypatch.setitem(sys.modules, "av", None)
    read_video(fuzz.folder / "inside.mp4")
    (fuzz.folder / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name} cannot be opened as a video"):
        read_video(fuzz.folder / name)


def test_metadata_that_is_not_utf8(fuzz) -> None:
    content = video("mp4", "mpeg4")
    assert b"Lavf" in content
    (fuzz.folder / "a.mp4").write_bytes(content.replace(b"Lavf", b"\xff\xfe\xa7\xa7"))
    read_video(fuzz.folder / "a.mp4")


def test_duration_that_is_no_time(fuzz) -> None:
    content = video("matroska", "mpeg4")
    assert b"00:00:00." in content
    (fuzz.folder / "a.mkv").write_bytes(content.replace(b"00:00:00.", b"xx:00-00."))
    read_video(fuzz.folder / "a.mkv")

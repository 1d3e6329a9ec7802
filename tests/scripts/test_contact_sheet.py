import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.errors import InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "contact_sheet.py"
main = runpy.run_path(str(SCRIPT))["main"]

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video of 11 even frames with gray levels 0, 20, ..., 200."""
    path = tmp_path / "video.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    for index in range(11):
        writer.write(np.full((HEIGHT, WIDTH, 3), 20 * index, np.uint8))
    writer.release()
    return path


def cell_levels(picture: Path, rows: int, columns: int) -> list[int]:
    """Gray levels at the centers of the cells of a picture, row by row."""
    image = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (rows * HEIGHT, columns * WIDTH)
    return [int(x) for x in image[HEIGHT // 2 :: HEIGHT, WIDTH // 2 :: WIDTH].flatten()]


def test_picture_shows_first_to_last_frame_in_rows(video: Path, tmp_path: Path) -> None:
    picture = tmp_path / "sheet.png"
    main([str(video), str(picture), "--frames", "3", "--columns", "2"])
    levels = cell_levels(picture, rows=2, columns=2)
    assert levels == pytest.approx([0, 100, 200, 0], abs=4)


def test_short_video_gives_all_its_frames(video: Path, tmp_path: Path) -> None:
    picture = tmp_path / "sheet.png"
    main([str(video), str(picture), "--frames", "50", "--columns", "11"])
    levels = cell_levels(picture, rows=1, columns=11)
    assert levels == pytest.approx(range(0, 201, 20), abs=4)


def test_unreadable_video_is_named_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.mp4 does not exist"):
        main([str(tmp_path / "missing.mp4"), str(tmp_path / "sheet.png")])


def test_video_that_does_not_state_its_length(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "bare.h264"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for level in (0, 100, 200):
            image = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    picture = tmp_path / "sheet.png"
    main([str(tmp_path / "bare.h264"), str(picture), "--frames", "2", "--columns", "2"])
    assert cell_levels(picture, rows=1, columns=2) == pytest.approx([0, 200], abs=4)


@pytest.mark.parametrize("arguments", [["a.gif"], ["a.png", "--frames", "0"]])
def test_unusable_arguments_are_refused(arguments: list[str], video: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(video), *arguments])

from pathlib import Path

import numpy as np

from fgfa.report import worst_videos
from fgfa.report.worst_videos import draw_errors, read_frames, video_ap


def test_ap_of_each_video(analyses, videos):
    assert [video_ap(a, videos).tolist() for a in analyses] == [[100, 100], [100, 0]]


def _has(image: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((image == color).all(axis=-1).any())


def test_colors_tell_what_is_what(analyses):
    image = np.full((120, 240, 3), 128, np.uint8)
    good, wrong = draw_errors(analyses[0], 8, image), draw_errors(analyses[1], 8, image)
    assert good.shape == (240, worst_videos.WIDTH, 3)
    assert _has(good, worst_videos.CORRECT_COLOR)
    assert not _has(good, worst_videos.ERROR_COLOR) and not _has(good, worst_videos.MISSED_COLOR)
    assert _has(wrong, worst_videos.ERROR_COLOR) and _has(wrong, worst_videos.MISSED_COLOR)
    assert not _has(wrong, worst_videos.CORRECT_COLOR)
    # At the place of the missed box, in pixels of the drawn frame.
    assert tuple(wrong[150, 40]) == worst_videos.MISSED_COLOR
    assert (image == 128).all()


def test_images_that_are_not_there(dicts):
    images = read_frames(dicts, [0, 9])
    assert [image.shape for image in images] == [(120, 240, 3)] * 2
    Path(dicts[9]["file_name"]).unlink()
    assert read_frames(dicts, [0, 9]) is None

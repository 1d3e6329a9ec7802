"""Small data sets of videos to check."""

from collections.abc import Callable, Sequence

import pytest

WIDTH, HEIGHT = 60, 40

# What is in a frame: (x1, y1, x2, y2), track, class.
Boxes = Sequence[tuple[tuple[float, float, float, float], int | None, int]]


@pytest.fixture
def video() -> Callable[..., list[dict]]:
    """A function that makes frames of a video, as registered data sets have them, of its boxes."""

    def make(*frames: Boxes, name: str = "a", first_id: int = 1) -> list[dict]:
        paths = [f"{name}/{index}.jpg" for index in range(len(frames))]
        return [
            {
                "file_name": paths[index],
                "image_id": first_id + index,
                "height": HEIGHT,
                "width": WIDTH,
                "video_id": name,
                "frame_index": index,
                "video_length": len(frames),
                "video_frames": paths,
                "annotations": [
                    {"bbox": list(box), "category_id": category}
                    | ({} if track is None else {"track_id": track})
                    for box, track, category in boxes
                ],
            }
            for index, boxes in enumerate(frames)
        ]

    return make

"""Frame dicts by hand."""

from collections.abc import Callable, Sequence

import pytest
from detectron2.structures import BoxMode

Box = tuple[Sequence[float], int, int | None]  # corners, category id, track id


@pytest.fixture
def make_frames() -> Callable[..., list[dict]]:
    """A function that makes frame dicts of one video from the boxes of each frame."""

    def make(frames: Sequence[Sequence[Box]], video_id: str = "video", first_id: int = 1):
        return [
            {
                "file_name": f"{video_id}/{index:06d}.JPEG",
                "image_id": first_id + index,
                "height": 500,
                "width": 500,
                "video_id": video_id,
                "frame_index": index,
                "video_length": len(frames),
                "annotations": [_annotation(*box) for box in boxes],
            }
            for index, boxes in enumerate(frames)
        ]

    return make


def _annotation(corners: Sequence[float], category_id: int, track_id: int | None) -> dict:
    track = {} if track_id is None else {"track_id": track_id}
    return {
        "bbox": list(corners),
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": category_id,
        **track,
    }

"""Which frames go with a key frame. Pure functions on frame indices, 0-based in their clip."""

import numpy as np

from fgfa.errors import InputError


def training_neighbors(
    frame_index: int, length: int, radius: int, count: int, rng: np.random.Generator
) -> list[int]:
    """Draws the neighbors of a key frame in training.

    Offsets are drawn without replacement from -radius..radius and the frames clamped to the video
    (paper, section 4.2; `get_triple_image` of the original). So the key frame itself may be drawn,
    and a still is its own neighbor.

    Args:
        frame_index: the key frame.
        length: frames of the video.
        radius: largest distance from the key frame, frames.
        count: neighbors to draw.
        rng: source of the randomness.

    Returns:
        `count` frame indices in the order they were drawn.

    Raises:
        InputError: where -radius..radius has fewer than `count` offsets.
    """
    if count > 2 * radius + 1:
        raise InputError(
            f"{count} different neighbors cannot be drawn from the {2 * radius + 1} offsets of "
            f"radius {radius}: lower MODEL.FGFA.TRAIN_NEIGHBORS or raise MODEL.FGFA.TRAIN_RADIUS."
        )
    offsets = rng.choice(2 * radius + 1, count, replace=False) - radius
    return np.clip(frame_index + offsets, 0, length - 1).tolist()


def test_window(frame_index: int, length: int, radius: int) -> list[int]:
    """The 2 * radius + 1 frames around a key frame at test time, in order of time.

    The first and the last frame of the video are repeated where the window reaches beyond them.

    Args:
        frame_index: the key frame.
        length: frames of the video.
        radius: frames on each side of the key frame.
    """
    window = range(frame_index - radius, frame_index + radius + 1)
    return [min(max(index, 0), length - 1) for index in window]


def entering_frames(frame_index: int, length: int, radius: int) -> list[int]:
    """The frames of a key frame's window that no earlier key frame's window holds.

    Over the key frames 0..length-1 each frame of the video enters once.

    Args:
        frame_index: the key frame.
        length: frames of the video.
        radius: frames on each side of the key frame.

    Returns:
        Frames 0..radius at the first key frame, later the frame `radius` ahead; none past the end.
    """
    first = frame_index + radius if frame_index else 0
    return list(range(first, min(frame_index + radius + 1, length)))

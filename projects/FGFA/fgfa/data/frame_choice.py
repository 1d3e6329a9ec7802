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


def entering_frames(frame_index: int, length: int, lookahead: int) -> list[int]:
    """The frames of a key frame's window that no earlier key frame's window holds.

    Over the key frames 0..length-1 each frame of the video enters once.

    Args:
        frame_index: the key frame.
        length: frames of the video.
        lookahead: frames behind the key frame that its window reaches to.

    Returns:
        Frames 0..lookahead at the first key frame, later the last of its window; none past the end.
    """
    first = frame_index + lookahead if frame_index else 0
    return list(range(first, min(frame_index + lookahead + 1, length)))


def spread_frames(length: int, count: int) -> list[int]:
    """Up to `count` frames at equal distances, from the first to the last.

    Args:
        length: frames of the video; none at 0 or where the length is not known (below 0).
        count: frames to choose; a shorter video gives all that it has.
    """
    count = min(count, max(length, 0))
    return np.linspace(0, length - 1, count).round().astype(int).tolist()

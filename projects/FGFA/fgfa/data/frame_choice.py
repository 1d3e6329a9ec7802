"""Which frames go with a key frame. Pure functions on frame indices, 0-based in their clip."""

from collections.abc import Sequence

import numpy as np

from fgfa.errors import InputError


def training_neighbors(
    frame_index: int,
    length: int,
    radius: int,
    count: int,
    rng: np.random.Generator,
    distance_weights: Sequence[float] = (),
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
        distance_weights: relative probability of each distance 0..radius, for the first that is
            drawn; all offsets are equal without.

    Returns:
        `count` frame indices in the order they were drawn.

    Raises:
        InputError: where `distance_weights` does not fit, or fewer than `count` offsets can be
            drawn.
    """
    probabilities = _offset_probabilities(radius, distance_weights)
    possible = np.count_nonzero(probabilities)
    if count > possible:
        raise InputError(
            f"{count} different neighbors cannot be drawn from the {possible} offsets of radius "
            f"{radius} that may be drawn: lower MODEL.FGFA.TRAIN_NEIGHBORS, raise "
            "MODEL.FGFA.TRAIN_RADIUS, or set more of MODEL.FGFA.TRAIN_OFFSET_WEIGHTS above 0."
        )
    # Without weights none are passed: the draws are then those of earlier versions.
    p = probabilities if distance_weights else None
    offsets = rng.choice(2 * radius + 1, count, replace=False, p=p) - radius
    return np.clip(frame_index + offsets, 0, length - 1).tolist()


def _offset_probabilities(radius: int, distance_weights: Sequence[float]) -> np.ndarray:
    """Probability of each offset -radius..radius: both sides share that of their distance."""
    weights = np.array(distance_weights or [1] + [2] * radius, float)
    if len(weights) != radius + 1 or not np.isfinite(weights).all() or weights.min() < 0:
        raise InputError(
            f"MODEL.FGFA.TRAIN_OFFSET_WEIGHTS is {list(distance_weights)}; give a number from 0 "
            f"for each of the {radius + 1} distances 0..{radius} (MODEL.FGFA.TRAIN_RADIUS), or []."
        )
    weights[1:] /= 2
    offsets = np.concatenate([weights[:0:-1], weights])
    return offsets / max(offsets.sum(), np.finfo(float).tiny)


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

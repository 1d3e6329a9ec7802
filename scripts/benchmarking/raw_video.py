"""A made-up video as a detector sees it before NMS, of a fixed seed."""

import numpy as np

_SIZE = np.array([1280.0, 720.0])
_NUM_OBJECTS = 4
_LEAST_SCORE = 1e-3


def raw_video(
    num_frames: int, num_rois: int, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Boxes of every class above the score threshold, on every region of interest of every frame.

    Two thirds of the regions lie around objects that move, the others around places that do not.
    Scores fall off with the distance from an object, and differ from class to class by orders of
    magnitude. With 300 regions and 30 classes about 70 boxes a class and frame remain, more than a
    small model gives on most clips of VID-mini.

    Args:
        num_frames: T.
        num_rois: R, regions of interest of a frame.
        num_classes: C.

    Returns:
        boxes (N, 4) as x1 y1 x2 y2 in pixels of 1280 x 720, scores (N,), times (N,) and classes
        (N,), in order of time, as `fgfa.evaluation.seq_nms.seq_nms` takes them.
    """
    generator = np.random.default_rng(0)
    places = _places(num_frames, generator)  # (T, P, 4): centers and sides
    near_object = generator.random((num_frames, num_rois)) < 2 / 3
    chosen = np.where(
        near_object,
        generator.integers(0, _NUM_OBJECTS, near_object.shape),
        generator.integers(_NUM_OBJECTS, places.shape[1], near_object.shape),
    )
    offsets = generator.normal(0, 0.12, (*near_object.shape, 4))
    centers, sides = np.split(np.take_along_axis(places, chosen[..., None], axis=1), 2, axis=2)
    centers, sides = centers + offsets[..., :2] * sides, sides * np.exp(offsets[..., 2:])
    corners = [np.clip(centers + sign * sides / 2, 0, _SIZE - 1) for sign in (-1, 1)]
    boxes = np.concatenate(corners, axis=2)  # (T, R, 4)

    typical = generator.normal(-8, 2, (places.shape[1], num_classes))  # logits
    typical[range(_NUM_OBJECTS), generator.integers(0, num_classes, _NUM_OBJECTS)] = 1.5
    distances = (offsets**2).sum(axis=2, keepdims=True) / (2 * 0.12**2)
    noise = generator.normal(0, 0.7, (*chosen.shape, num_classes))
    scores = 1 / (1 + np.exp(0.3 * distances - typical[chosen] - noise))  # (T, R, C)
    times, rois, classes = np.nonzero(scores > _LEAST_SCORE)
    return boxes[times, rois], scores[times, rois, classes], times, classes


def _places(num_frames: int, generator: np.random.Generator) -> np.ndarray:
    """Centers and sides of moving objects, then of places that stand, shape (T, P, 4), pixels."""
    sides = generator.uniform(80, 400, (_NUM_OBJECTS + 6, 2))
    start = generator.uniform(0, _SIZE, sides.shape)
    speed = generator.normal(0, 6, sides.shape)  # pixels a frame
    speed[_NUM_OBJECTS:] = 0
    path = start + speed * np.arange(num_frames)[:, None, None]
    centers = _SIZE - np.abs(path % (2 * _SIZE) - _SIZE)  # turns around at the border
    return np.concatenate([centers, np.broadcast_to(sides, centers.shape)], axis=2)

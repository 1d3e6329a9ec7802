"""AP50 by motion and size of the objects: the area ranges that the original has commented out."""

import numpy as np

from fgfa.evaluation.average_precision import ap_from_matches
from fgfa.evaluation.class_mean import class_mean
from fgfa.evaluation.matching import ALL_AREAS, Matches, Range

SMALL, LARGE = 50**2, 150**2
# Closed ranges of the area, pixels with +1 widths: a box of exactly 50^2 is small and middling.
SIZE_RANGES: dict[str, Range] = {
    "all": ALL_AREAS,
    "< 50^2": (0, SMALL),
    "50^2 to 150^2": (SMALL, LARGE),
    "> 150^2": (LARGE, ALL_AREAS[1]),
}


def ap_by_size(matches: Matches, num_classes: int) -> np.ndarray:
    """Mean AP over the classes that have boxes in a cell.

    Args:
        matches: detections matched for M ranges of motion.
        num_classes: C.

    Returns:
        Percent, shape (M, 4), columns as `SIZE_RANGES`; NaN where a cell has no boxes.
    """
    return 100 * class_mean(ap_from_matches(matches, num_classes, list(SIZE_RANGES.values())))

"""How much AP would differ on other videos: the bootstrap over videos (Efron, 1979).

A data set of V videos is drawn again from its own videos, V times with replacement, and scored; the
spread of many such scores is that of the score itself. Whole videos are drawn, since frames of one
video are nearly copies of each other. Two models are compared on the same draws: what the videos
have in common goes out of the difference.

A class of which no video is drawn is left out of a sample's mean. With few videos this happens
often, and a video not drawn takes false positives of other classes with it: samples then lie above
the score on average, and the interval is not centered on it.
"""

import numpy as np
from scipy.sparse import csr_matrix

from fgfa.evaluation.average_precision import best_first_by_class
from fgfa.evaluation.matching import Matches

_CHUNK = 128  # samples scored at once, which bounds memory


def draw_videos(num_videos: int, samples: int, seed: int = 0) -> np.ndarray:
    """How often each video is drawn in each sample: int64, shape (samples, V), rows sum to V."""
    return np.random.default_rng(seed).multinomial(
        num_videos, np.full(num_videos, 1 / num_videos), samples
    )


def ap_of_samples(
    matches: Matches, num_classes: int, videos: np.ndarray, samples: np.ndarray
) -> np.ndarray:
    """Average precision of data sets made of the same videos, each any number of times.

    As `ap_from_matches` would give it on the frames of these videos, without matching or sorting
    again. What a false positive weighs in a frame without boxes, a share of the whole set, stays.

    Args:
        matches: detections of F frames matched for M ranges of motion.
        num_classes: C.
        videos: (F,) int64, number of each frame's video, 0..V-1.
        samples: (R, V), how often each video is there.

    Returns:
        AP in [0, 1], float64, shape (R, M, C); NaN where no box of the class is in range.
    """
    rows_by_class = best_first_by_class(matches.detections, num_classes)
    video_of_detection = videos[matches.frames]
    video_of_box = videos[matches.ground_truth.frames]
    result = np.full((len(samples), len(matches.in_motion), num_classes), np.nan)
    for m in range(len(matches.in_motion)):
        boxes, true, false = matches.counted(m)
        for c, rows in enumerate(rows_by_class):
            of_class = boxes & (matches.ground_truth.classes == c)
            positives = np.bincount(video_of_box[of_class], minlength=samples.shape[1])
            curve = _WeightedCurve(true[rows], false[rows], video_of_detection[rows], positives)
            for first in range(0, len(samples), _CHUNK):
                chunk = slice(first, first + _CHUNK)
                result[chunk, m, c] = curve.areas(samples[chunk])
    return result


def percentile_interval(samples: np.ndarray, level: float = 0.95) -> np.ndarray:
    """The middle `level` of samples (R, ...): ends of shape (2, ...), NaN aside."""
    present = ~np.isnan(samples).all(axis=0)
    ends = np.full((2, *samples.shape[1:]), np.nan)
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends[:, present] = np.nanquantile(samples[:, present], tails, axis=0)
    return ends


class _WeightedCurve:
    """The precision-recall curve of one class whose videos count any number of times.

    The envelope of precision changes at true positives alone: of the false positives only their sum
    between two true positives matters, by video.

    Args:
        true: (n,) whether each detection is a true positive, best score first.
        false: (n,) its weight as a false positive.
        videos: (n,) its video.
        positives: (V,) boxes to be found in each video.
    """

    def __init__(
        self, true: np.ndarray, false: np.ndarray, videos: np.ndarray, positives: np.ndarray
    ) -> None:
        self._positives = positives
        self._hit_videos = videos[true]
        following = np.cumsum(true)  # the true positive that comes next
        counted = (false > 0) & (following < len(self._hit_videos))
        # (K, V): false positives between a true positive and the one before.
        self._misses = csr_matrix(
            (false[counted], (following[counted], videos[counted])),
            shape=(len(self._hit_videos), len(positives)),
        )

    def areas(self, samples: np.ndarray) -> np.ndarray:
        """Area under the envelope (R,) for samples (R, V); NaN where there is nothing to find."""
        weights = np.ascontiguousarray(samples.T, np.float64)  # (V, R)
        found = weights[self._hit_videos]  # (K, R)
        hits = np.cumsum(found, axis=0)
        misses = np.cumsum(self._misses @ weights, axis=0)
        precision = hits / np.maximum(hits + misses, np.finfo(np.float64).eps)
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        with np.errstate(invalid="ignore"):
            return (envelope * found).sum(axis=0) / (self._positives @ weights)

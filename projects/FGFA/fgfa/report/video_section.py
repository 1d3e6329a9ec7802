"""The section of the page that shows the videos in which AP is lowest."""

from collections.abc import Sequence

import cv2
import numpy as np

from fgfa.data.frame_choice import spread_frames
from fgfa.evaluation.analysis import Analysis
from fgfa.evaluation.class_mean import class_mean
from fgfa.report.markup import Html, element, image
from fgfa.report.worst_videos import draw_errors, read_frames, video_ap

VIDEOS = 4
FRAMES = 6  # of each video
_JPEG_QUALITY = 75


def worst_videos(analyses: Sequence[Analysis], dicts: Sequence[dict], videos: np.ndarray) -> Html:
    """Frames of the videos, of those with boxes, whose mean AP50 over the models is lowest.

    Args:
        analyses: one a model.
        dicts: F frames of the data set.
        videos: (F,) number of each frame's video, 0..V-1.
    """
    ap = np.stack([video_ap(analysis, videos) for analysis in analyses], axis=-1)  # (V, models)
    means = class_mean(ap)
    with_boxes = np.count_nonzero(~np.isnan(means))
    worst = np.argsort(means, kind="stable")[: min(VIDEOS, with_boxes)]  # NaN comes last
    return element(
        "section",
        element("h2", "Worst videos"),
        element(
            "p",
            "The videos whose AP50 by themselves is lowest. White: ground truth; red: missed; "
            "green: correct detections; orange: errors. Shown are the detections that “Errors” "
            "looks at.",
            class_="note",
        ),
        *(_video(analyses, dicts, np.flatnonzero(videos == v), ap[v]) for v in worst),
    )


def _video(
    analyses: Sequence[Analysis], dicts: Sequence[dict], frames: np.ndarray, ap: np.ndarray
) -> Html:
    """One video with the frames as each model sees them."""
    shown = frames[spread_frames(len(frames), FRAMES)]
    images = read_frames(dicts, shown)
    boxes = np.isin(analyses[0].matches.ground_truth.frames, frames)
    name = dicts[frames[0]]["video_id"]
    children = [element("h3", name)]
    for analysis, value in zip(analyses, ap, strict=True):
        missed = f"{analysis.errors.missed[boxes].sum()} of {boxes.sum()} boxes missed"
        children.append(element("p", f"{analysis.name}: AP50 {value:.1f}, {missed}"))
        if images is not None:
            drawn = [draw_errors(analysis, *pair) for pair in zip(shown, images, strict=True)]
            children.append(element("div", *(_jpeg(d, name) for d in drawn), class_="sheet"))
    if images is None:
        children.append(element("p", "The images of this video are not here.", class_="note"))
    return element("div", *children)


def _jpeg(frame: np.ndarray, alt: str) -> Html:
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return image(data.tobytes(), "image/jpeg", alt)

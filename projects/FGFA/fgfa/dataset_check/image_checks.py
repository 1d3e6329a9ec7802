"""Images of a data set that are missing or cannot be used."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

from tqdm import tqdm

from fgfa.data.frame_reading import read_frame
from fgfa.dataset_check.findings import Finding, Kind, findings_of
from fgfa.errors import InputError


class Images(Enum):
    """What is done with the images: read them whole, look whether they are there, or nothing."""

    READ = "read"
    FIND = "find"
    SKIP = "skip"


def check_images(dicts: Sequence[dict], images: Images) -> list[Finding]:
    """Checks the images of all frames, and of frames that are only neighbors of others.

    Args:
        dicts: frames of a data set.
        images: how.
    """
    if images is Images.SKIP:
        return []
    sizes = _sizes_by_path(dicts)
    missing, unusable = [], []
    with ThreadPoolExecutor() as pool:  # PIL decodes without Python's lock
        problems = pool.map(_problem, sizes, sizes.values(), [images] * len(sizes))
        for problem in tqdm(problems, total=len(sizes), desc="images", unit="image", delay=1):
            if problem is not None:
                (missing if problem[0] is Kind.MISSING_IMAGE else unusable).append(problem[1])
    return [
        *findings_of(Kind.MISSING_IMAGE, missing),
        *findings_of(Kind.UNUSABLE_IMAGE, unusable),
    ]


def _sizes_by_path(dicts: Sequence[dict]) -> dict[str, tuple[int, int]]:
    """Height and width of each image; of neighbors, those of a frame of their video."""
    sizes = {}
    for frame in dicts:
        sizes[frame["file_name"]] = (frame["height"], frame["width"])
    videos = {frame["video_id"]: frame for frame in dicts}
    for frame in videos.values():
        for path in frame["video_frames"]:
            sizes.setdefault(path, (frame["height"], frame["width"]))
    return sizes


def _problem(path: str, size: tuple[int, int], images: Images) -> tuple[Kind, str] | None:
    if not Path(path).is_file():
        return Kind.MISSING_IMAGE, path
    # Without a size the annotation could not be read, which is a finding already.
    if images is Images.READ and size[0] > 0:
        try:
            read_frame(path, "RGB", size)
        except InputError as error:
            return Kind.UNUSABLE_IMAGE, str(error)
    return None

"""Annotations of own videos, of any format that is known here, as one COCO-VID JSON file."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fgfa.data.annotations.cvat_xml import cvat_name, read_cvat
from fgfa.data.annotations.mot import mot_name, read_mot
from fgfa.data.annotations.video_boxes import VideoBoxes, VideoImages
from fgfa.data.annotations.video_images import find_video_images
from fgfa.data.annotations.voc_xml import read_voc, voc_name
from fgfa.errors import InputError
from fgfa.files import atomic_write

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """A format of annotations.

    Attributes:
        name_of: the name of the video that a path annotates.
        read: its boxes, given its images.
    """

    name_of: Callable[[Path], str]
    read: Callable[[Path, VideoImages], VideoBoxes]


FORMATS = {
    "mot": Format(mot_name, read_mot),
    "cvat": Format(cvat_name, read_cvat),
    "voc": Format(voc_name, read_voc),
}


def convert(
    file_format: str,
    annotations: Sequence[Path],
    output: Path,
    *,
    image_root: Path,
    videos: Path | None = None,
    class_names: Sequence[str] | None = None,
) -> Counter[str]:
    """Writes a COCO-VID JSON file as `fgfa.data.coco_vid` reads it.

    Args:
        file_format: a key of `FORMATS`.
        annotations: one path a video.
        output: the JSON file.
        image_root: folder with a folder of frames for each video; `file_name`s are relative to it.
        videos: folder of video files, of which missing folders of frames are made.
        class_names: the classes, in the order of their category ids from 1; objects of others are
            left out. By default all classes that occur, by name.

    Returns:
        How many boxes each class has, in the order of the category ids.

    Raises:
        InputError: something is missing or malformed, or two paths annotate the same video.
    """
    chosen = FORMATS[file_format]
    by_name: dict[str, Path] = {}
    for path in annotations:
        name = chosen.name_of(path)
        if name in by_name:
            raise InputError(
                f"{path} and {by_name[name]} both annotate video '{name}'; rename one of them and "
                "its frames."
            )
        by_name[name] = path
    read = []
    for name, path in by_name.items():
        images = find_video_images(name, image_root, videos)
        read.append((images, chosen.read(path, images)))
    content, counts = coco_vid_of(read, image_root, class_names)
    with atomic_write(output) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return counts


def coco_vid_of(
    videos: Sequence[tuple[VideoImages, VideoBoxes]],
    image_root: Path,
    class_names: Sequence[str] | None = None,
) -> tuple[dict[str, list[dict]], Counter[str]]:
    """The content of a COCO-VID JSON file, and how many boxes each class has.

    Sentences of what is left out are logged as warnings.
    """
    for _, boxes in videos:
        for sentence in boxes.left_out:
            logger.warning("Left out: %s", sentence)
    found = Counter(box.class_name for _, boxes in videos for box in boxes.boxes)
    names = sorted(found) if class_names is None else list(class_names)
    others = {name: count for name, count in found.items() if name not in names}
    if others:
        logger.warning("Left out: boxes of other classes (%s)", _listed(others))
    category_ids = {name: number for number, name in enumerate(names, start=1)}
    content = {
        "videos": [],
        "images": [],
        "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
        "annotations": [],
    }
    for images, boxes in videos:
        _add_video(content, images, boxes, image_root, category_ids)
    return content, Counter({name: found[name] for name in names})


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} of {name}" for name, count in counts.items())


def _add_video(
    content: dict[str, list[dict]],
    images: VideoImages,
    boxes: VideoBoxes,
    image_root: Path,
    category_ids: dict[str, int],
) -> None:
    video_id = len(content["videos"]) + 1
    content["videos"].append({"id": video_id, "name": images.name})
    first_id = len(content["images"]) + 1
    for frame, index in enumerate(boxes.images):
        height, width = images.sizes[index]
        content["images"].append(
            {
                "id": first_id + frame,
                "video_id": video_id,
                "frame_id": frame,
                "file_name": images.paths[index].relative_to(image_root).as_posix(),
                "height": height,
                "width": width,
            }
        )
    for box in sorted(boxes.boxes, key=lambda box: box.frame):
        if box.class_name not in category_ids:
            continue
        x1, y1, x2, y2 = box.corners
        known = {"instance_id": box.track_id, "occluded": box.occluded}
        content["annotations"].append(
            {
                "id": len(content["annotations"]) + 1,
                "image_id": first_id + box.frame,
                "category_id": category_ids[box.class_name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                **{key: int(value) for key, value in known.items() if value is not None},
            }
        )

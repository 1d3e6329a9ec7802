"""Annotations in PASCAL VOC's XML, one file a frame."""

from collections.abc import Sequence
from pathlib import Path

from fgfa.data.annotation_xml import FrameAnnotation, read_annotation
from fgfa.data.annotations.video_boxes import FrameBox, VideoBoxes, VideoImages
from fgfa.errors import InputError


def voc_name(path: Path) -> str:
    """Name of the video: that of its folder of XML files."""
    return path.absolute().name


def read_voc(path: Path, images: VideoImages) -> VideoBoxes:
    """Reads a folder of XML files that are named like the frames.

    An object's `trackid`, as ImageNet VID has it, gives its track. Frames without a file have no
    boxes.

    Args:
        path: the folder.
        images: frames of the video.

    Raises:
        InputError: a file is malformed or belongs to no frame, or there is none; the sentence names
            the file and the object.
    """
    files = sorted(path.glob("*.xml"))
    if not files:
        raise InputError(f"{path}: there is no folder of this name with XML files in it.")
    frame_of = {image.stem: index for index, image in enumerate(images.paths)}
    boxes = []
    for file in files:
        if file.stem not in frame_of:
            raise InputError(
                f"{file}: no frame in {images.folder} has this name; add it, or remove the file."
            )
        frame = frame_of[file.stem]
        annotation, names = _read_all_classes(str(file))
        images.check_size(frame, (annotation.height, annotation.width), f"{file}, <size>")
        boxes += _boxes(frame, annotation, names)
    without = len(images.paths) - len(files)
    left_out = [f"{path}: {without} frames have no XML file, and no boxes"] if without else []
    return VideoBoxes(range(len(images.paths)), boxes, left_out)


def _read_all_classes(file: str) -> tuple[FrameAnnotation, Sequence[str]]:
    """An annotation with objects of every class, and the names of its category ids."""
    names = sorted(set(read_annotation(file, {}).other_names))
    return read_annotation(file, {name: index for index, name in enumerate(names)}), names


def _boxes(frame: int, annotation: FrameAnnotation, names: Sequence[str]) -> list[FrameBox]:
    return [
        FrameBox(
            frame=frame,
            class_name=names[item["category_id"]],
            corners=tuple(item["bbox"]),
            track_id=item.get("track_id"),
            occluded=bool(item["occluded"]) if "occluded" in item else None,
        )
        for item in annotation.objects
    ]

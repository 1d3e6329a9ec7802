"""The moving-shapes data set: small procedural videos on disk, in ImageNet VID's layout."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tqdm import tqdm

from fgfa.data.image_files import write_image
from fgfa.data.shape_scene import SHAPES, ShapeScene, VisibleShape
from fgfa.errors import InputError
from fgfa.files import atomic_folder

logger = logging.getLogger(__name__)

MOVING_SHAPES_CLASSES = SHAPES
KEY_FRAME_EVERY = 2
_PARAMETERS = "parameters.json"
_LEAST_SIDE = 32  # pixels of a frame in which shapes can be told apart


def write_moving_shapes(
    root: str | os.PathLike[str],
    *,
    train_videos: int = 40,
    val_videos: int = 10,
    frames: int = 32,
    size: tuple[int, int] = (160, 240),
    seed: int = 0,
) -> Path:
    """Writes the data set to `root/moving_shapes`, whole or not at all.

    Boxes are those of the whole shape, cut at the frame's border, in frames where at least a fifth
    of the shape is seen. The same arguments give the same data; where it is there it is kept.

    Args:
        root: the folder that DETECTRON2_DATASETS names.
        train_videos: number of videos whose every second frame is a key frame of
            `VID_train_keyframes.txt`.
        val_videos: number of videos of `VID_val_videos.txt`.
        frames: length of each video.
        size: height and width, pixels.
        seed: of all videos.

    Returns:
        `root/moving_shapes`.

    Raises:
        InputError: another data set is in `root/moving_shapes`, or there would be nothing to see.
    """
    if min(train_videos, val_videos) < 0 or frames < 1 or min(size) < _LEAST_SIDE:
        raise InputError(
            f"{train_videos} and {val_videos} videos of {frames} frames of {size[0]} x {size[1]} "
            f"pixels cannot be drawn; ask for a frame or more, of {_LEAST_SIDE} pixels or more"
        )
    target = Path(root) / "moving_shapes"
    parameters = {
        "train_videos": train_videos,
        "val_videos": val_videos,
        "frames": frames,
        "size": list(size),
        "seed": seed,
    }
    if target.exists():
        _check_same(target, parameters)
        logger.info("%s is complete and is used as it is.", target)
        return target
    with atomic_folder(target) as part:
        _write_all(part / "ILSVRC2015", parameters)
        (part / _PARAMETERS).write_text(json.dumps(parameters) + "\n")
    logger.info("Wrote %d videos to %s.", train_videos + val_videos, target)
    return target


def _check_same(target: Path, parameters: dict[str, object]) -> None:
    path = target / _PARAMETERS
    present = json.loads(path.read_text()) if path.is_file() else None
    if present != parameters:
        raise InputError(
            f"{target} holds something else ({present}) than asked for ({parameters}); remove it, "
            "or name another folder."
        )


def _write_all(folder: Path, parameters: dict[str, object]) -> None:
    """Writes `Data`, `Annotations` and `ImageSets`."""
    frames, size, seed = (parameters[name] for name in ("frames", "size", "seed"))
    train_videos, val_videos = parameters["train_videos"], parameters["val_videos"]
    train = [f"train/moving_shapes_train_{i:04d}" for i in range(train_videos)]
    val = [f"val/moving_shapes_val_{i:04d}" for i in range(val_videos)]
    for number, video in enumerate(tqdm(train + val, desc="moving shapes", unit="video")):
        _write_video(folder, video, ShapeScene(tuple(size), [seed, number]), frames)

    key_frames = range(0, frames, KEY_FRAME_EVERY)
    lists = {
        "VID_train_keyframes.txt": [f"{v} 1 {key} {frames}" for v in train for key in key_frames],
        "VID_val_videos.txt": [f"{v} {1 + i * frames} 0 {frames}" for i, v in enumerate(val)],
    }
    (folder / "ImageSets").mkdir()
    for name, lines in lists.items():
        (folder / "ImageSets" / name).write_text("".join(f"{line}\n" for line in lines))


def _write_video(folder: Path, video: str, scene: ShapeScene, frames: int) -> None:
    images, annotations = folder / "Data/VID" / video, folder / "Annotations/VID" / video
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    for time in range(frames):
        image, shapes = scene.draw(time)
        write_image(images / f"{time:06d}.JPEG", image)
        tree = _annotation(video, f"{time:06d}", scene.size, shapes)
        tree.write(annotations / f"{time:06d}.xml")


def _annotation(
    video: str, filename: str, size: tuple[int, int], shapes: Sequence[VisibleShape]
) -> ElementTree.ElementTree:
    """The annotation of a frame as ImageNet VID has it."""
    root = ElementTree.Element("annotation")
    _add(root, {"folder": video.split("/")[-1], "filename": filename})
    _add(ElementTree.SubElement(root, "source"), {"database": "moving_shapes"})
    _add(ElementTree.SubElement(root, "size"), {"width": size[1], "height": size[0]})
    for shape in shapes:
        element = ElementTree.SubElement(root, "object")
        x1, y1, x2, y2 = shape.box
        _add(element, {"trackid": shape.track_id, "name": shape.name})
        corners = {"xmax": x2, "xmin": x1, "ymax": y2, "ymin": y1}
        _add(ElementTree.SubElement(element, "bndbox"), corners)
        _add(element, {"occluded": int(shape.occluded), "generated": 0})
    return ElementTree.ElementTree(root)


def _add(parent: ElementTree.Element, texts: dict[str, object]) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = str(text)

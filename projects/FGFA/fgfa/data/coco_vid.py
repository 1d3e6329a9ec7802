"""Data sets in COCO-VID JSON: COCO with `videos`, and frames and tracks of them."""

import json
from pathlib import Path
from typing import TypeVar

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

from fgfa.data.inside_paths import is_inside
from fgfa.data.load_problems import STRICT, LoadProblems
from fgfa.data.video_frames import VideoFrames
from fgfa.errors import InputError
from fgfa.files import refuse_special
from fgfa.limits import LARGEST_NUMBER

_T = TypeVar("_T")

# Optional keys of our annotations, and what COCO-VID calls them.
_OPTIONAL_KEYS = {"track_id": "instance_id", "occluded": "occluded", "iscrowd": "iscrowd"}


def register_coco_vid(name: str, json_file: str | Path, image_root: str | Path) -> None:
    """Registers a data set in COCO-VID JSON with Detectron2. The file is read on first use.

    As with Detectron2's COCO data sets, the metadata has `thing_classes` and
    `thing_dataset_id_to_contiguous_id` after that.

    Args:
        name: name of the data set in `DATASETS.TRAIN` and `DATASETS.TEST`.
        json_file: the annotations.
        image_root: folder that the `file_name`s are relative to.
    """
    metadata = MetadataCatalog.get(name)
    metadata.set(
        evaluator_type="imagenet_vid", json_file=str(json_file), image_root=str(image_root)
    )

    def load(problems: LoadProblems | None = None) -> list[dict]:
        frames, names = _load(json_file, image_root, problems)
        metadata.set(
            thing_classes=list(names.values()),
            thing_dataset_id_to_contiguous_id={id_: cls for cls, id_ in enumerate(names)},
        )
        return frames

    DatasetCatalog.register(name, load)


def load_coco_vid(json_file: str | Path, image_root: str | Path) -> tuple[list[dict], list[str]]:
    """Reads a COCO-VID JSON file.

    Needed keys: `videos[].id`; `images[].id`, `.video_id`, `.frame_id` (gives the order; may start
    anywhere and have gaps), `.file_name`, `.height`, `.width`; `categories[].id`, `.name`;
    `annotations[].image_id`, `.category_id`, `.bbox` (x, y, width, height in pixels). Optional:
    `annotations[].instance_id` (the track), `.occluded`, `.iscrowd`.

    Args:
        json_file: the annotations.
        image_root: folder that the `file_name`s are relative to.

    Returns:
        One dict a frame, whole videos in the order of `videos`, with the keys of
        `fgfa.data.imagenet_vid.load_imagenet_vid`; and the class names in the order of their
        category ids.

    Raises:
        InputError: the file is missing or malformed; the sentence names the key.
    """
    frames, names = _load(json_file, image_root)
    return frames, list(names.values())


def _load(
    json_file: str | Path, image_root: str | Path, problems: LoadProblems | None = None
) -> tuple[list[dict], dict[int, str]]:
    """Frames, and the name of each category id in rising order.

    Images and annotations that are wrong are left out where there are `problems` to take them up.
    """
    tolerance = STRICT if problems is None else problems
    content = _Record(str(json_file), _read_json(json_file))
    categories = sorted(content.records("categories"), key=lambda record: record.integer("id"))
    contiguous = {record.integer("id"): index for index, record in enumerate(categories)}
    if len(contiguous) != len(categories):
        raise content.error("categories", "a list whose 'id's all differ")
    videos = {record.integer("id"): [] for record in content.records("videos")}
    annotations = {}
    for image in content.records("images"):
        with tolerance:
            _check_image(image)
            image.lookup("video_id", videos).append(image)
            annotations[image.integer("id")] = []
    for record in content.records("annotations"):
        with tolerance:
            record.lookup("image_id", annotations).append(_annotation(record, contiguous))
    frames = [
        frame
        for video_id, images in videos.items()
        for frame in _video(str(video_id), images, Path(image_root), annotations)
    ]
    if len(annotations) != len(frames) or not frames:
        raise InputError(
            f"{json_file}: 'images' has {len(frames)} frames with {len(annotations)} different "
            "values of 'id'; it needs one or more, each with an id of its own."
        )
    return frames, {record.integer("id"): record.text("name") for record in categories}


class _Record:
    """An object of the JSON file that knows where it stands, for the sentences of errors."""

    def __init__(self, where: str, values: object) -> None:
        if not isinstance(values, dict):
            raise InputError(f"{where}: {values!r:.40} stands where an object with keys must.")
        self.where = where
        self.values = values

    def error(self, key: str, needed: str) -> InputError:
        found = f"is {self.values[key]!r:.40}" if key in self.values else "is missing"
        return InputError(f"{self.where}: key '{key}' {found}; it must be {needed}.")

    def integer(self, key: str) -> int:
        value = self.values.get(key)
        if type(value) is not int or abs(value) >= LARGEST_NUMBER:
            raise self.error(key, "a whole number")
        return value

    def side(self, key: str) -> int:
        """Height or width of a frame."""
        if self.integer(key) < 1:
            raise self.error(key, "a number of pixels")
        return self.values[key]

    def text(self, key: str) -> str:
        if not isinstance(self.values.get(key), str):
            raise self.error(key, "a string")
        return self.values[key]

    def path(self, key: str) -> str:
        """A path that stays in the folder that it is relative to."""
        if not is_inside(self.text(key)):
            raise self.error(key, "a path that stays in the folder of the images")
        return self.values[key]

    def records(self, key: str) -> list["_Record"]:
        if not isinstance(self.values.get(key), list):
            raise self.error(key, "a list of objects")
        return [
            _Record(f"{self.where}, {key}[{i}]", item) for i, item in enumerate(self.values[key])
        ]

    def lookup(self, key: str, table: dict[int, _T]) -> _T:
        """The entry of `table` whose id stands under `key`."""
        identity = self.integer(key)
        if identity not in table:
            raise self.error(
                key, f"the 'id' of one of the file's {key.removesuffix('_id')} entries"
            )
        return table[identity]

    def box(self, key: str) -> list[float]:
        """Corners x1, y1, x2, y2 of a box that the file gives as x, y, width, height."""
        values = self.values.get(key)
        values = values if isinstance(values, list) else []
        try:
            box = x, y, width, height = [float(value) for value in values]
        except (OverflowError, TypeError, ValueError):
            raise self.error(key, "four numbers x, y, width, height") from None
        if not all(abs(value) < LARGEST_NUMBER for value in box) or width < 0 or height < 0:
            raise self.error(key, "finite, with a width and height of 0 or more")
        return [x, y, x + width, y + height]


def _read_json(path: str | Path) -> object:
    try:
        refuse_special(path)
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: not a complete JSON file ({error}); replace it.") from error


def _check_image(image: _Record) -> None:
    image.path("file_name")
    for key in ("id", "frame_id"):
        image.integer(key)
    for key in ("height", "width"):
        image.side(key)


def _annotation(record: _Record, contiguous: dict[int, int]) -> dict:
    annotation = {
        "bbox": record.box("bbox"),
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": record.lookup("category_id", contiguous),
    }
    for ours, theirs in _OPTIONAL_KEYS.items():
        if theirs in record.values:
            annotation[ours] = record.integer(theirs)
    return annotation


def _video(
    video_id: str, images: list[_Record], image_root: Path, annotations: dict[int, list[dict]]
) -> list[dict]:
    """Dicts of the frames of one video, in the order of time."""
    images = sorted(images, key=lambda image: image.integer("frame_id"))
    video_frames = VideoFrames.from_names(
        [str(image_root / image.path("file_name")) for image in images]
    )
    return [
        {
            "file_name": video_frames[index],
            "image_id": image.integer("id"),
            "height": image.side("height"),
            "width": image.side("width"),
            "video_id": video_id,
            "frame_index": index,
            "video_length": len(images),
            "video_frames": video_frames,
            "annotations": annotations[image.integer("id")],
        }
        for index, image in enumerate(images)
    ]

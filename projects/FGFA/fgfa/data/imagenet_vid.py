"""Data sets in the folder layout of ImageNet VID: `ILSVRC2015/{Data,Annotations,ImageSets}`."""

import dataclasses
import functools
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog
from tqdm import tqdm

from fgfa.data.annotation_cache import read_annotations
from fgfa.data.annotation_xml import FrameAnnotation, read_annotation
from fgfa.data.image_set import ListedClip, read_image_set
from fgfa.data.load_problems import LoadProblems
from fgfa.errors import InputError

logger = logging.getLogger(__name__)

# Name and WordNet id of the 30 classes, in the official order.
_CLASSES = (
    ("airplane", "n02691156"),
    ("antelope", "n02419796"),
    ("bear", "n02131653"),
    ("bicycle", "n02834778"),
    ("bird", "n01503061"),
    ("bus", "n02924116"),
    ("car", "n02958343"),
    ("cattle", "n02402425"),
    ("dog", "n02084071"),
    ("domestic_cat", "n02121808"),
    ("elephant", "n02503517"),
    ("fox", "n02118333"),
    ("giant_panda", "n02510455"),
    ("hamster", "n02342885"),
    ("horse", "n02374451"),
    ("lion", "n02129165"),
    ("lizard", "n01674464"),
    ("monkey", "n02484322"),
    ("motorcycle", "n03790512"),
    ("rabbit", "n02324045"),
    ("red_panda", "n02509815"),
    ("sheep", "n02411705"),
    ("snake", "n01726692"),
    ("squirrel", "n02355227"),
    ("tiger", "n02129604"),
    ("train", "n04468005"),
    ("turtle", "n01662784"),
    ("watercraft", "n04530566"),
    ("whale", "n02062744"),
    ("zebra", "n02391049"),
)
IMAGENET_VID_CLASSES = tuple(name for name, _ in _CLASSES)
IMAGENET_VID_WNIDS = tuple(wnid for _, wnid in _CLASSES)

_SUBSETS = ("VID", "DET")


def register_imagenet_vid(
    name: str,
    root: str | Path,
    image_set: str | Path,
    *,
    class_names: Sequence[str] = IMAGENET_VID_CLASSES,
    wnids: Sequence[str] | None = None,
    subset: str | None = None,
    key_frames: bool | None = None,
) -> None:
    """Registers a data set in ImageNet VID's layout with Detectron2. Files are read on first use.

    Args:
        name: name of the data set in `DATASETS.TRAIN` and `DATASETS.TEST`.
        root: folder that holds `Data`, `Annotations` and `ImageSets`.
        image_set: list file in `ImageSets`, with or without `.txt`, or the path of one.
        class_names: names of the classes, by category id.
        wnids: what the XML files call these classes in `<name>`. By default the WordNet ids for the
            30 classes of ImageNet VID, and the class names themselves for others.
        subset: "VID" or "DET", the folder below `Data` and `Annotations`. By default the one that
            has the annotation of the first listed frame.
        key_frames: whether lines of four fields are key frames, see
            `fgfa.data.image_set.read_image_set`.

    Raises:
        InputError: `class_names` and `wnids` do not match, or `subset` is unknown. Errors in files
            are raised on first use.
    """
    categories = _categories(class_names, wnids)
    if subset not in (None, *_SUBSETS):
        raise InputError(f"Data set {name}: subset '{subset}' is neither 'VID' nor 'DET'.")
    load = functools.partial(load_imagenet_vid, root, image_set, categories, subset, key_frames)
    DatasetCatalog.register(name, load)
    MetadataCatalog.get(name).set(
        thing_classes=list(class_names), evaluator_type="imagenet_vid", image_root=str(root)
    )


def load_imagenet_vid(
    root: str | Path,
    image_set: str | Path,
    categories: Mapping[str, int],
    subset: str | None = None,
    key_frames: bool | None = None,
    problems: LoadProblems | None = None,
) -> list[dict]:
    """Reads the annotations of a data set in ImageNet VID's layout. The images may be absent.

    Args:
        root: see `register_imagenet_vid`, also for the others that are not told here.
        image_set: list file, or its name.
        categories: category id of each `<name>` of the XML files.
        subset: "VID" or "DET".
        key_frames: whether lines of four fields are key frames.
        problems: takes up what is wrong with annotations, which is left out then.

    Returns:
        One dict a frame, in the order of the list: Detectron2's `file_name`, `image_id`, `height`,
        `width` and `annotations`, and `video_id`, `frame_index` (0-based in the clip),
        `video_length` and `video_frames` (`VideoFrames`).

    Raises:
        InputError: the list or an annotation file is missing or malformed.
    """
    root = Path(root)
    clips = read_image_set(_find_list(root, image_set), key_frames)
    subset = subset or _subset_of(root, clips[0])
    folder = root / "Annotations" / subset
    paths = [f"{folder}/{clip.stems[index]}.xml" for clip in clips for index in clip.listed]
    title = f"annotations of {image_set}"
    if problems is None:
        annotations = read_annotations(paths, categories, title)
    else:
        progress = tqdm(paths, desc=title, unit="frame", delay=1)
        annotations = [read_annotation(path, categories, problems) for path in progress]
    other_names = Counter(name for annotation in annotations for name in annotation.other_names)
    if problems is not None:
        problems.other_names.update(other_names)
    in_order = iter(annotations)
    frames = [
        frame for clip in clips for frame in _clip_frames(root / "Data" / subset, clip, in_order)
    ]
    if other_names and not any(frame["annotations"] for frame in frames):
        logger.warning(
            "%s: no object is of the classes asked for (%s); the files have %s.",
            image_set,
            ", ".join(list(categories)[:5]),
            ", ".join(name for name, _ in other_names.most_common(5)),
        )
    return frames


def _categories(class_names: Sequence[str], wnids: Sequence[str] | None) -> dict[str, int]:
    if wnids is None:
        official = tuple(class_names) == IMAGENET_VID_CLASSES
        wnids = IMAGENET_VID_WNIDS if official else class_names
    if len(wnids) != len(class_names) or len(set(wnids)) != len(wnids):
        raise InputError(
            f"{len(class_names)} class_names and {len(set(wnids))} different wnids: "
            "give one wnid for each class."
        )
    return {wnid: category for category, wnid in enumerate(wnids)}


def _find_list(root: Path, image_set: str | Path) -> Path:
    folder = root / "ImageSets"
    candidates = (folder / image_set, folder / f"{image_set}.txt", Path(image_set))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(
        f"List file '{image_set}' is neither in {folder} (with or without .txt) nor a path; "
        "check the root of the data set (DETECTRON2_DATASETS for built-in names)."
    )


def _subset_of(root: Path, clip: ListedClip) -> str:
    stem = clip.stems[clip.listed[0]]
    for subset in _SUBSETS:
        if (root / "Annotations" / subset / f"{stem}.xml").is_file():
            return subset
    return _SUBSETS[0]


def _clip_frames(
    images: Path, clip: ListedClip, annotations: Iterator[FrameAnnotation]
) -> list[dict]:
    """Dicts of the listed frames of a clip, which take the next annotations."""
    video_frames = dataclasses.replace(
        clip.stems, prefix=f"{images}/{clip.stems.prefix}", suffix=f"{clip.stems.suffix}.JPEG"
    )
    frames = []
    for image_id, index in enumerate(clip.listed, start=clip.first_image_id):
        annotation = next(annotations)
        frames.append(
            {
                "file_name": video_frames[index],
                "image_id": image_id,
                "height": annotation.height,
                "width": annotation.width,
                "video_id": clip.video_id,
                "frame_index": index,
                "video_length": len(video_frames),
                "video_frames": video_frames,
                "annotations": annotation.objects,
            }
        )
    return frames

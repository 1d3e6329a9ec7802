"""What is wrong or odd in a data set, by kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

_T = TypeVar("_T")

_MOST_KEPT = 1000  # places of a kind; of the others, how many there are


class Kind(Enum):
    """A kind of finding: a key for programs, whether it is wrong or odd, and a title."""

    UNREADABLE_ANNOTATION = ("unreadable_annotation", True, "annotations that cannot be read")
    MISSING_IMAGE = ("missing_image", True, "images that are missing")
    UNUSABLE_IMAGE = ("unusable_image", True, "images that are broken or of another size")
    SHARED_IMAGE_ID = ("shared_image_id", True, "frames that share an image_id")
    EMPTY_BOX = ("empty_box", True, "boxes without an area")
    BOX_OUTSIDE = ("box_outside", True, "boxes outside of their frame")
    REPEATED_TRACK = ("repeated_track", True, "tracks with two boxes in a frame")
    TRACK_OF_CLASSES = ("track_of_classes", True, "tracks that change their class")
    BOX_ACROSS_BORDER = ("box_across_border", False, "boxes across the border of their frame")
    JUMP = ("jump", False, "tracks that jump from a frame to the next")
    FRAME_SIZES = ("frame_sizes", False, "videos with frames of several sizes")
    UNKNOWN_CLASS = ("unknown_class", False, "classes that are left out, as they are not known")
    CLASS_WITHOUT_BOXES = ("class_without_boxes", False, "classes without boxes")
    VIDEO_WITHOUT_BOXES = ("video_without_boxes", False, "videos without boxes")
    NO_TRACK = ("no_track", False, "boxes without a track id, so that motion is not known")

    def __init__(self, key: str, wrong: bool, title: str) -> None:
        self.key = key
        self.wrong = wrong
        self.title = title


@dataclass(frozen=True)
class Finding:
    """All findings of one kind.

    Attributes:
        kind: what it is.
        count: how many there are.
        places: sentences about the first ones.
    """

    kind: Kind
    count: int
    places: tuple[str, ...]


def findings_of(
    kind: Kind, items: Sequence[_T], describe: Callable[[_T], str] = str
) -> list[Finding]:
    """One finding of all items where something of a kind is found, or none without items.

    Args:
        kind: what is found.
        items: where.
        describe: makes a sentence of an item.
    """
    if len(items) == 0:
        return []
    return [Finding(kind, len(items), tuple(map(describe, items[:_MOST_KEPT])))]

"""The boxes of a video and its frames, whatever format they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fgfa.errors import InputError


@dataclass(frozen=True)
class VideoImages:
    """The image files of a video.

    Attributes:
        name: of the video.
        folder: where they lie.
        paths: in the order of time.
        sizes: height and width of each, pixels.
    """

    name: str
    folder: Path
    paths: Sequence[Path]
    sizes: Sequence[tuple[int, int]]

    def check_size(self, index: int, size: tuple[int, int], where: str) -> None:
        """Makes sure that an image has the size that its annotation states.

        Raises:
            InputError: it has another one.
        """
        if self.sizes[index] != size:
            (height, width), (stated_height, stated_width) = self.sizes[index], size
            raise InputError(
                f"{where}: frames of {stated_width}x{stated_height} pixels, but "
                f"{self.paths[index]} has {width}x{height}; annotations and frames must be of one "
                "size."
            )

    def check_length(self, length: int, where: str) -> None:
        """Makes sure that there are as many images as an annotation states.

        Raises:
            InputError: there are more or fewer.
        """
        if len(self.paths) != length:
            raise InputError(
                f"{where}: {length} frames, but {self.folder} has {len(self.paths)} images; add "
                "those that are missing, or remove what is no frame of this video."
            )


@dataclass(frozen=True)
class FrameBox:
    """A box in a frame.

    Attributes:
        frame: number of the frame among those of `VideoBoxes.images`, from 0.
        class_name: what it shows.
        corners: x1, y1, x2, y2 in pixels, from 0.
        track_id: the same for all boxes of an object in this video; None where it is not known.
        occluded: whether the object is hidden in part; None where it is not known.
    """

    frame: int
    class_name: str
    corners: tuple[float, float, float, float]
    track_id: int | None = None
    occluded: bool | None = None


@dataclass(frozen=True)
class VideoBoxes:
    """What an annotation says about a video.

    Attributes:
        images: which of the video's images are annotated, as every frame of a data set is.
        boxes: in any order.
        left_out: sentences about what was not taken over.
    """

    images: range
    boxes: Sequence[FrameBox]
    left_out: Sequence[str] = ()

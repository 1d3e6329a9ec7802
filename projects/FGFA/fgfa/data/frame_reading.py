"""Reads image files of frames."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from detectron2.data.detection_utils import convert_PIL_to_numpy
from detectron2.utils.file_io import PathManager
from PIL import Image, UnidentifiedImageError

from fgfa.errors import InputError
from fgfa.files import refuse_special
from fgfa.limits import MOST_PIXELS

# Others of Pillow's start programs (EPS), or are formats of no camera.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


@contextmanager
def open_image(path: str) -> Iterator[Image.Image]:
    """Opens an image file, of which the block may decode the pixels.

    Raises:
        InputError: the file is missing, no image, too large, or the block fails to decode it.
    """
    try:
        refuse_special(path)
        with PathManager.open(path, "rb") as file, Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels are more than {MOST_PIXELS}")
            yield image
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: the frame does not exist; add it, or check the root of the data set."
        ) from error
    except Exception as error:  # Pillow raises errors of many kinds for broken files
        # Pillow's own text for these is about the object that it reads from.
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "it is of no kind that is known here" if unknown else error
        raise InputError(f"{path}: the image cannot be read ({reason}); replace it.") from error


def read_frame(path: str, image_format: str, size: tuple[int, int]) -> np.ndarray:
    """Reads one frame.

    A rotation noted in the file's EXIF data is not applied: boxes of ImageNet are given in the
    pixels as they are stored (the original reads with IMREAD_IGNORE_ORIENTATION).

    Args:
        path: the image file.
        image_format: order of the channels, as `INPUT.FORMAT`: "RGB" or "BGR".
        size: height and width that the frame must have, pixels.

    Returns:
        Pixels, uint8, (H, W, 3).

    Raises:
        InputError: the file is missing, broken or of another size.
    """
    with open_image(path) as image:
        if (image.height, image.width) != size:
            raise InputError(
                f"{path}: the image has {image.width}x{image.height} pixels, but its annotation "
                f"says {size[1]}x{size[0]}; correct one of them."
            )
        return convert_PIL_to_numpy(image, image_format)

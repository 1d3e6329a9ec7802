"""Reads image files of frames."""

import numpy as np
from detectron2.data.detection_utils import convert_PIL_to_numpy
from detectron2.utils.file_io import PathManager
from PIL import Image

from fgfa.errors import InputError


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
    try:
        with PathManager.open(path, "rb") as file:
            image = convert_PIL_to_numpy(Image.open(file), image_format)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: the frame does not exist; add it, or check the root of the data set."
        ) from error
    except (OSError, SyntaxError) as error:  # PIL reports a broken PNG as SyntaxError
        raise InputError(f"{path}: the image cannot be read ({error}); replace it.") from error
    if image.shape[:2] != size:
        raise InputError(
            f"{path}: the image has {image.shape[1]}x{image.shape[0]} pixels, but its annotation "
            f"says {size[1]}x{size[0]}; correct one of them."
        )
    return image

"""What a camera does to images: blur, defocus, low resolution, exposure, noise, compression."""

import cv2
import numpy as np


def expose(image: np.ndarray, rng: np.random.Generator, noisy: float) -> np.ndarray:
    """Changes exposure a little; some images are noisy.

    Args:
        image: (H, W, 3) uint8.
        rng: source of the randomness.
        noisy: probability of noise, whose standard deviation is 1 to 6 gray levels.

    Returns:
        (H, W, 3) uint8.
    """
    gain, bias = rng.normal(1, 0.05), rng.normal(0, 4)
    exposed = image * np.float32(gain) + np.float32(bias)
    if rng.random() < noisy:
        exposed += rng.uniform(1, 6) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(exposed, 0, 255).astype(np.uint8)


def motion_blur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Averages along a line through each pixel, which does not displace what is seen.

    Args:
        image: (H, W, C) uint8.
        length: of the line, pixels; up to 1 leaves the image nearly as it is.
        angle: of the line, radians, from x towards y.
    """
    radius = int(np.ceil(length / 2))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = x * np.sin(angle) - y * np.cos(angle)
    kernel = np.clip(length / 2 + 0.5 - abs(along), 0, 1) * np.clip(1 - abs(across), 0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def defocus(image: np.ndarray, deviation: float) -> np.ndarray:
    """Blurs alike in all directions; `deviation` of the Gaussian in pixels."""
    return cv2.GaussianBlur(image, (0, 0), deviation)


def lower_resolution(image: np.ndarray, factor: float) -> np.ndarray:
    """Keeps the detail that an image of `factor` times the sides has."""
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """Takes an image (H, W, 3) uint8 through JPEG of a quality of 0 to 100."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)

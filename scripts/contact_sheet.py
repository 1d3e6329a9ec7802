"""Makes one picture of a video: frames at equal distances, side by side in rows.

Example:

    python scripts/contact_sheet.py detections.mp4 detections.jpg --frames 9 --columns 3
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fgfa.data.frame_choice import spread_frames
from fgfa.data.image_files import write_image
from fgfa.data.video_reading import VideoReader
from fgfa.drawing import tile
from fgfa.errors import one_sentence_errors

SUFFIXES = (".jpg", ".png")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path, help="video to read")
    parser.add_argument("picture", type=Path, help="picture to write (.jpg or .png)")
    parser.add_argument("--frames", type=int, default=6, help="number of frames to show")
    parser.add_argument("--columns", type=int, default=3, help="frames in a row")
    args = parser.parse_args(argv)
    if args.frames < 1 or args.columns < 1:
        parser.error("--frames and --columns are at least 1")
    if args.picture.suffix.lower() not in SUFFIXES:
        parser.error(f"the picture is a {' or '.join(SUFFIXES)} file, not {args.picture}")
    sheet = tile(read_spread(args.video, args.frames), args.columns)
    write_image(args.picture, sheet)


def read_spread(video: Path, count: int) -> list[np.ndarray]:
    """Reads frames at equal distances from the first to the last frame.

    Args:
        video: a file.
        count: number of frames; a shorter video gives all that it has.

    Returns:
        BGR frames, each (H, W, 3) uint8.

    Raises:
        InputError: the file cannot be read as a video.
    """
    reader = VideoReader(str(video))
    length = reader.length or sum(1 for _ in reader)  # some files do not state it
    wanted = set(spread_frames(length, count))
    return [image for index, image in enumerate(reader) if index in wanted]


if __name__ == "__main__":
    with one_sentence_errors():
        main()

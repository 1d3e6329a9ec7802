#!/usr/bin/env python
"""Makes lists in the official formats for a folder of videos in ImageNet VID's layout.

    python scripts/make_image_sets.py datasets/mine/ILSVRC2015

takes each folder of `Data/VID` (train, val, ...) for a split, and writes to `ImageSets`

    VID_train_15frames.txt   path 1 key_frame length                     15 frames of each video
    VID_train_videos.txt     path first_global_id first_frame length     whole videos
    VID_train_frames.txt     path/frame global_id                        all frames, each by itself

and so on. Training takes the first (or the last, as stills), evaluation the second.
A list that is there with other content is left as it is, and ends the program with an error.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from fgfa.data.image_set_making import find_videos, frame_lines, key_frame_lines, video_lines
from fgfa.errors import InputError, one_sentence_errors
from fgfa.files import atomic_write

_LISTS = ("key-frames", "videos", "frames")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="holds Data/VID")
    parser.add_argument(
        "--splits", metavar="NAME", nargs="+", help="default: all folders in Data/VID"
    )
    parser.add_argument("--lists", choices=_LISTS, nargs="+", default=_LISTS, help="default: all")
    parser.add_argument(
        "--key-frames", metavar="N", type=int, default=15, help="of each video (default: 15)"
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="default: ROOT/ImageSets")
    args = parser.parse_args(argv)
    if args.key_frames < 1:
        parser.error("--key-frames is at least 1")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    data = args.root / "Data" / "VID"
    if not data.is_dir():
        raise InputError(f"{data}: there is no such folder; name the one that holds Data/VID.")
    output = args.output or args.root / "ImageSets"
    splits = args.splits or sorted(path.name for path in data.iterdir() if path.is_dir())
    if not splits:
        raise InputError(f"{data}: there is no folder in it; add one, such as train, with videos.")
    for split in splits:
        videos = find_videos(data, split)
        lists = {
            "key-frames": (f"{args.key_frames}frames", key_frame_lines(videos, args.key_frames)),
            "videos": ("videos", video_lines(videos)),
            "frames": ("frames", frame_lines(videos)),
        }
        for name, lines in (lists[key] for key in args.lists):
            count = write_list(output / f"VID_{split}_{name}.txt", lines)
            print(f"{output / f'VID_{split}_{name}.txt'}: {count} lines, {len(videos)} videos")


def write_list(path: Path, lines: Iterable[str]) -> int:
    """Writes a list, and returns the number of its lines.

    Raises:
        InputError: the file is there with other content.
    """
    lines = list(lines)
    text = "".join(f"{line}\n" for line in lines)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise InputError(f"{path} is another list; remove it, or choose another --output.")
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return len(lines)


if __name__ == "__main__":
    with one_sentence_errors():
        main()

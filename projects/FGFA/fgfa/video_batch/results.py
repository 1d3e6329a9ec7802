"""The two files of a video's detections, which are complete or not there.

<name>.txt has the official text format, `frame_id class score x1 y1 x2 y2`, with frame ids that
count the frames of the video from 1. <name>.json has in its first line what is known of the video
and how it was detected in, then a line for each frame (see `detection_record`), then their number
and what was left out because it could not be read. It is renamed last: a video whose .json is there
is finished.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from detectron2.structures import Instances

from fgfa.detection_json import detection_record
from fgfa.errors import InputError
from fgfa.evaluation.instances import detections_of
from fgfa.evaluation.official_text import text_lines
from fgfa.files import atomic_write

_OPENING = ', "frames": ['


class ResultWriter:
    """Writes detections frame by frame; see the module for the format.

    Attributes:
        left_out: to be set before the end: what of the video could not be read.
    """

    def __init__(self, text: TextIO, json_file: TextIO, header: dict[str, Any]) -> None:
        self._text = text
        self._json = json_file
        self._header = header
        self._count = 0
        self.left_out: list[str] = []

    def write(
        self,
        instances: Instances,
        class_names: Sequence[str],
        *,
        seconds: float | None = None,
        name: str | None = None,
    ) -> None:
        """Appends the detections of the next frame.

        Args:
            instances: in pixels of the frame, see `detection_record`.
            class_names: a name for each class.
            seconds: time of the frame in its video, where it is known.
            name: file name of the frame, where it has one.
        """
        record = detection_record(self._count, instances, class_names, seconds=seconds, name=name)
        if self._count == 0:
            height, width = instances.image_size
            first_line = json.dumps({**self._header, "width": width, "height": height})
            self._json.write(first_line.removesuffix("}") + _OPENING)
        self._count += 1
        self._json.write(",\n" if self._count > 1 else "\n")
        json.dump(record, self._json, allow_nan=False)
        self._text.write(text_lines(detections_of(self._count, instances)))

    def finish(self) -> None:
        """Ends the files.

        Raises:
            InputError: if there was no frame.
        """
        if self._count == 0:
            raise InputError("it has no frame")
        left_out = json.dumps(self.left_out)
        self._json.write(f'\n], "num_frames": {self._count}, "left_out": {left_out}}}\n')


@contextlib.contextmanager
def write_results(base: str | os.PathLike[str], header: dict[str, Any]) -> Iterator[ResultWriter]:
    """Writes <base>.txt and <base>.json, which appear when the block ends without an exception.

    Args:
        base: path without suffix; parent folders are made.
        header: plain values for the first line of the .json, to which the size is added.
    """
    with (
        atomic_write(_json_path(base)) as json_path,
        atomic_write(f"{base}.txt") as text_path,
        open(json_path, "w", encoding="utf-8") as json_file,
        open(text_path, "w", encoding="utf-8", newline="\n") as text,
    ):
        writer = ResultWriter(text, json_file, header)
        yield writer
        writer.finish()


def read_header(base: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What the first line of <base>.json says, or None where that file does not exist.

    Raises:
        InputError: if the file is something else.
    """
    path = _json_path(base)
    try:
        with open(path, encoding="utf-8") as file:
            line = file.readline().rstrip("\n")
        return json.loads(line.removesuffix(_OPENING) + "}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a result of detection; move it, or write to another folder"
        ) from error


def remove_results(base: str | os.PathLike[str]) -> None:
    """Removes the files of a video, where they are there."""
    for suffix in (".json", ".txt"):
        Path(f"{base}{suffix}").unlink(missing_ok=True)


def _json_path(base: str | os.PathLike[str]) -> Path:
    return Path(f"{base}.json")

"""Where detections and pictures of frames go: videos, JSON lines, folders, images, a window."""

import json
import os
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import cv2
import numpy as np
from detectron2.structures import Instances

from fgfa.data.frame_source import FrameSource, SourceFrame
from fgfa.data.image_files import write_image
from fgfa.data.video_writing import VideoWriter
from fgfa.detection_json import detection_record
from fgfa.errors import InputError
from fgfa.files import atomic_write

_WINDOW = "FGFA"
_ESCAPE = 27


class FrameSink(AbstractContextManager):
    """Takes frames one after the other; its files are whole after its `with` block.

    Where an exception ends the block, a file that is not whole is not left behind.

    Attributes:
        takes_pictures: whether it makes use of pictures.
    """

    takes_pictures = True

    def __init__(self) -> None:
        self._stack = ExitStack()

    def write(self, frame: SourceFrame, instances: Instances, picture: np.ndarray | None) -> None:
        """Takes the next frame.

        Args:
            frame: the frame as it was read.
            instances: its detections.
            picture: what a viewer sees of them, BGR, uint8, (H, W, 3); None where no sink takes
                pictures.

        Raises:
            InputError: if it cannot be written.
        """
        raise NotImplementedError

    def __exit__(self, *exception: object) -> bool | None:
        return self._stack.__exit__(*exception)


class VideoSink(FrameSink):
    """An .mp4 file of the pictures, each shown at its time in the source."""

    def __init__(self, path: Path, fps: float) -> None:
        super().__init__()
        temporary = self._stack.enter_context(atomic_write(path))
        self._writer = self._stack.enter_context(VideoWriter(temporary, fps))

    def write(self, frame: SourceFrame, instances: Instances, picture: np.ndarray | None) -> None:
        self._writer.write(picture, frame.seconds)


class JsonLinesSink(FrameSink):
    """A line for each frame; see `detection_record`."""

    takes_pictures = False

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        super().__init__()
        temporary = self._stack.enter_context(atomic_write(path))
        self._file = self._stack.enter_context(temporary.open("w", encoding="utf-8"))
        self._class_names = class_names

    def write(self, frame: SourceFrame, instances: Instances, picture: np.ndarray | None) -> None:
        record = detection_record(
            frame.number, instances, self._class_names, seconds=frame.seconds, name=frame.name
        )
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")


class FolderSink(FrameSink):
    """An image file for each picture: of the frame's name, or else its number."""

    def __init__(self, path: Path, inputs: Sequence[str]) -> None:
        super().__init__()
        self._path = path
        self._inputs = {os.path.realpath(file) for file in inputs}

    def write(self, frame: SourceFrame, instances: Instances, picture: np.ndarray | None) -> None:
        name = frame.name or f"{frame.number:06d}.jpg"
        if not cv2.haveImageWriter(name):
            name += ".jpg"
        _refuse_input(self._path / name, self._inputs)
        write_image(self._path / name, picture)


class ImageSink(FrameSink):
    """One image file, for one picture."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def write(self, frame: SourceFrame, instances: Instances, picture: np.ndarray | None) -> None:
        write_image(self._path, picture)


class WindowSink(FrameSink):
    """A window; its escape key acts as Ctrl-C."""

    def write(self, frame: SourceFrame, instances: Instances, picture: np.ndarray | None) -> None:
        try:
            cv2.imshow(_WINDOW, picture)
            key = cv2.waitKey(1)
        except cv2.error as error:
            raise InputError(
                "no window can be opened here; give --output without --window, or install "
                "opencv-python in place of opencv-python-headless"
            ) from error
        if key == _ESCAPE:
            raise KeyboardInterrupt


def open_sink(output: str, source: FrameSource, class_names: Sequence[str]) -> FrameSink:
    """Opens what the name of an output stands for.

    Args:
        output: an .mp4 or .jsonl file, a folder, or for a single image an image file.
        source: the frames that will be written.
        class_names: a name for each class.

    Raises:
        InputError: if the name stands for nothing, or for what is read.
    """
    path = Path(output)
    suffix = path.suffix.lower()
    if path.is_dir() or not suffix or output.endswith(("/", os.sep)):
        return FolderSink(path, source.files)
    _refuse_input(path, {os.path.realpath(file) for file in source.files})
    if suffix == ".mp4":
        return VideoSink(path, source.fps)
    if suffix == ".jsonl":
        return JsonLinesSink(path, class_names)
    if source.length == 1 and cv2.haveImageWriter(output):
        return ImageSink(path)
    raise InputError(
        f"output {output} is neither an .mp4 or .jsonl file nor a folder; name one of them"
    )


def _refuse_input(path: Path, inputs: Collection[str]) -> None:
    if os.path.realpath(path) in inputs:
        raise InputError(f"{path} is an input and would be overwritten; name another output")

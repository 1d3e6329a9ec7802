"""An evaluation that can be interrupted: what is detected in a whole video is kept on disk."""

import contextlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm

from fgfa.errors import InputError
from fgfa.files import atomic_write

logger = logging.getLogger(__name__)

UNFINISHED = "unfinished_evaluation"  # the folder in OUTPUT_DIR with one for each data set
STAMP = "evaluation_of"


class FinishedVideos:
    """A folder with a file for each video whose frames have all been detected in.

    Attributes:
        ids: `video_id` of the videos that were finished by the run before.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        frames: Sequence[Mapping],
        fingerprint: str,
        resume: bool = False,
    ) -> None:
        """
        Args:
            folder: of the files; made on the main process, and emptied unless resumed.
            frames: dicts of the data set.
            fingerprint: of all that detections depend on.
            resume: go on with the videos that are there.

        Raises:
            InputError: those that are there have another fingerprint.
        """
        self._folder = Path(folder)
        self._video_of = {frame["image_id"]: frame["video_id"] for frame in frames}
        self._lengths = Counter(self._video_of.values())
        self._files = {video: self._folder / f"{i}.pt" for i, video in enumerate(self._lengths)}
        self._unfinished: dict[str, list[dict]] = {}
        if comm.is_main_process():
            self._claim(fingerprint, resume)
        comm.synchronize()
        self.ids = {video for video, path in self._files.items() if path.exists()}
        if self.ids:
            logger.info(
                "%d of %d videos were evaluated before; their detections are read from %s.",
                len(self.ids),
                len(self._files),
                self._folder,
            )

    def read(self) -> list[tuple[int, Instances]]:
        """`image_id` and detections of all frames of the videos of `ids`."""
        videos = [
            torch.load(path, weights_only=True)
            for video, path in self._files.items()
            if video in self.ids
        ]
        return [(frame["image_id"], _unpacked(frame)) for video in videos for frame in video]

    def add(self, frame: Mapping, instances: Instances) -> None:
        """Keeps the detections of a frame, and writes those of its video if it was the last.

        Args:
            frame: dict as the model got it; corrupt frames are no part of its `video_length`.
            instances: the detections.
        """
        video = self._video_of[frame["image_id"]]
        frames = self._unfinished.setdefault(video, [])
        frames.append({"image_id": frame["image_id"], **_packed(instances)})
        # Of a video, the data set may list some frames only.
        if len(frames) == min(self._lengths[video], frame["video_length"]):
            with atomic_write(self._files[video]) as temporary:
                torch.save(self._unfinished.pop(video), temporary)

    def remove(self) -> None:
        """Removes the folder, and the one it is in where that was its last."""
        shutil.rmtree(self._folder)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()

    def _claim(self, fingerprint: str, resume: bool) -> None:
        stamp = self._folder / STAMP
        if not resume:
            shutil.rmtree(self._folder, ignore_errors=True)
        elif stamp.exists() and stamp.read_text() != fingerprint:
            raise InputError(
                f"{self._folder} holds an unfinished evaluation of another model, config or data "
                "set; evaluate without --resume to begin anew, or set another OUTPUT_DIR"
            )
        with atomic_write(stamp) as temporary:
            temporary.write_text(fingerprint)


class ResumableEvaluator(DatasetEvaluator):
    """Passes on to another evaluator, with the detections of videos that were finished before."""

    def __init__(self, evaluator: DatasetEvaluator, videos: FinishedVideos) -> None:
        """
        Args:
            evaluator: any that takes `image_id` of frames and their `instances`.
            videos: of the same data set.
        """
        self._evaluator = evaluator
        self._videos = videos

    def reset(self) -> None:
        """Forgets all frames but those of finished videos, which the main process has."""
        self._evaluator.reset()
        if comm.is_main_process():
            for image_id, instances in self._videos.read():
                self._evaluator.process([{"image_id": image_id}], [{"instances": instances}])

    def process(self, inputs: Sequence[Mapping], outputs: Sequence[Mapping]) -> None:
        """Passes on the outputs of a batch, and keeps them."""
        self._evaluator.process(inputs, outputs)
        for frame, output in zip(inputs, outputs, strict=True):
            self._videos.add(frame, output["instances"])

    def evaluate(self) -> dict | None:
        """What the evaluator gives. Nothing is left to be resumed."""
        results = self._evaluator.evaluate()
        if comm.is_main_process():  # the others have handed over all they have
            self._videos.remove()
        return results


def _packed(instances: Instances) -> dict:
    return {
        "image_size": list(instances.image_size),
        "boxes": instances.pred_boxes.tensor.cpu(),
        "scores": instances.scores.cpu(),
        "classes": instances.pred_classes.cpu(),
    }


def _unpacked(frame: Mapping) -> Instances:
    return Instances(
        tuple(frame["image_size"]),
        pred_boxes=Boxes(frame["boxes"]),
        scores=frame["scores"],
        pred_classes=frame["classes"],
    )

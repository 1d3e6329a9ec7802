"""Which videos to detect in, and how."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from fgfa.errors import InputError
from fgfa.files import remove_left_over
from fgfa.video_batch import settings
from fgfa.video_batch.results import read_header, remove_results
from fgfa.video_batch.videos import Video, longest_first

FAILED_NAME = "failed.txt"
_TAKEN_NAMES = {Path(FAILED_NAME).stem, Path(settings.FILE_NAME).stem}


@dataclass(frozen=True)
class Batch:
    """Videos to detect in, and how.

    Attributes:
        cfg: config of the model, with its weights.
        class_names: a name for each class.
        header: what the results say about how they were made; by "settings" among it, results of
            other settings are told.
        output: folder of the results.
        videos: the videos.
        tracks: whether boxes are numbered over time.
    """

    cfg: CfgNode
    class_names: list[str]
    header: dict[str, Any]
    output: Path
    videos: list[Video]
    tracks: bool

    def unfinished(self) -> "Batch":
        """The batch without the videos that have their results.

        Raises:
            InputError: if results of another video are in the place of a video's.
        """
        return replace(self, videos=[video for video in self.videos if not self._is_done(video)])

    def longest_first(self) -> "Batch":
        """The batch in an order by which processes end at about the same time."""
        return replace(self, videos=longest_first(self.videos))

    def _is_done(self, video: Video) -> bool:
        found = read_header(self.output / video.name)
        if found is None or found.get("settings") != self.header["settings"]:
            return False
        if found.get("source_size") != video.size:
            raise InputError(
                f"{self.output / video.name}.json has the detections of another video, "
                f"{found.get('video')}; write those of {video.path} to another folder, or give "
                "--overwrite to replace them"
            )
        return True


def prepare_batch(
    cfg: CfgNode,
    config_file: str,
    class_names: Sequence[str],
    output: Path,
    videos: Sequence[Video],
    *,
    tracks: bool,
    overwrite: bool,
) -> Batch:
    """Makes the output folder ready for a batch of videos.

    What a killed run left over is removed; no other run may be at work in the folder.

    Args:
        cfg: config of the model, with its weights.
        config_file: where it is from, for the results.
        class_names: a name for each class.
        output: folder of the results.
        videos: all videos, also those that are finished.
        tracks: numbers boxes over time.
        overwrite: removes results of these videos, and accepts other settings than before.

    Raises:
        InputError: if the weights are missing, the folder has results of other settings, or a
            video's results would have the name of a file of ours.
    """
    described = settings.settings_of(cfg, class_names) | {"tracks": tracks}
    for video in videos:
        if video.name in _TAKEN_NAMES:
            raise InputError(
                f"the results of {video.path} would get the name of another file; rename it, or "
                "give the folder that it is in"
            )
    settings.claim_for(output, described, overwrite)
    remove_left_over(output)
    (output / FAILED_NAME).unlink(missing_ok=True)
    if overwrite:
        for video in videos:
            remove_results(output / video.name)
    header = {
        "config_file": Path(config_file).name,
        "weights": Path(cfg.MODEL.WEIGHTS).name,
        "weights_sha256": described["MODEL.WEIGHTS"],
        "confidence_threshold": cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST,
        "settings": settings.fingerprint(described),
    }
    return Batch(cfg, list(class_names), header, output, list(videos), tracks)

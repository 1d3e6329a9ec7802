"""Checkpoints: the flow network's weights, other class counts, the model zoo's channel order."""

import logging
import os
import shutil
from typing import Any

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager
from torch import nn

from fgfa import model_zoo
from fgfa.errors import InputError
from fgfa.files import atomic_write, remove_left_over

logger = logging.getLogger(__name__)

_FLOW_PREFIX = "flow_net."
# Backbones of Detectron2's model zoo that were trained on BGR images.
_BGR_BACKBONES = "ImageNetPretrained/MSRA/"
# Names that PathManager finds a file for, or says why not.
_NAMES = ("http://", "https://", "detectron2://", "catalog://", model_zoo.PREFIX)


class _Checkpointer(DetectionCheckpointer):
    """Detectron2's checkpointer, with one sentence for a file that cannot be loaded."""

    KEY = "MODEL.WEIGHTS"  # the config key that names the file
    _path = ""

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Loads a checkpoint, see `DetectionCheckpointer`; "" loads none.

        Raises:
            InputError: where the file is missing, broken, or does not fit the model.
        """
        self._path = path
        if path and not path.startswith(_NAMES) and not PathManager.isfile(path.partition("?")[0]):
            raise InputError(f"checkpoint {path} ({self.KEY}) does not exist; check the path")
        try:
            return super().load(path, checkpointables)
        except OSError as error:
            raise InputError(
                f"checkpoint {path} ({self.KEY}) cannot be fetched or read ({error}); fetch it by "
                "hand and name the file"
            ) from error

    def _load_file(self, filename: str) -> dict[str, Any]:
        try:
            return super()._load_file(filename)
        except Exception as error:  # bytes that are no pickle can raise anything
            raise InputError(
                f"checkpoint {self._path} ({self.KEY}) is broken or no checkpoint "
                f"({type(error).__name__}); write or fetch it again"
            ) from error


class _FlowNetCheckpointer(_Checkpointer):
    """Loads a flow network, or that of a whole model, as a whole.

    A part that stayed random would spoil its flow unseen.
    """

    KEY = "MODEL.FLOW_NET.WEIGHTS"

    def _load_model(self, checkpoint: dict[str, Any]) -> Any:
        of_whole_model = {
            key.removeprefix(_FLOW_PREFIX): value
            for key, value in checkpoint["model"].items()
            if key.startswith(_FLOW_PREFIX)
        }
        checkpoint["model"] = of_whole_model or checkpoint["model"]
        incompatible = super()._load_model(checkpoint)
        if incompatible.missing_keys:
            raise InputError(
                f"checkpoint {self._path} ({self.KEY}) does not fit the flow network: it has no "
                f"{incompatible.missing_keys[0]} of the right shape; set MODEL.FLOW_NET.NAME and "
                "MODEL.FLOW_NET.WIDTH to what it was trained with"
            )
        return incompatible


class FGFACheckpointer(_Checkpointer):
    """Detectron2's checkpointer, which also

    * loads `MODEL.FLOW_NET.WEIGHTS` first; a flow network in the checkpoint itself wins;
    * warns where the flow network stays random;
    * refuses a checkpoint of another class count, except as the start of a training;
    * turns the zoo's BGR backbones to the channel order of `INPUT.FORMAT`;
    * writes a checkpoint under a temporary name, so that it is complete or absent.
    """

    def __init__(
        self,
        model: nn.Module,
        cfg: CfgNode,
        save_dir: str = "",
        *,
        for_training: bool = False,
        **checkpointables: Any,
    ) -> None:
        """
        Args:
            model: the model, possibly wrapped for distributed training.
            cfg: the config that it was built from.
            save_dir: folder for checkpoints, "" to write none.
            for_training: accepts weights of other shapes and leaves those layers as they are.
            **checkpointables: other objects to save and load, see `DetectionCheckpointer`.
        """
        super().__init__(model, save_dir, **checkpointables)
        self._flow_weights = cfg.MODEL.FLOW_NET.WEIGHTS if hasattr(self.model, "flow_net") else ""
        self._input_format = cfg.INPUT.FORMAT
        self._for_training = for_training

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Loads the flow network's weights and then a checkpoint, see `DetectionCheckpointer`.

        Raises:
            InputError: where a file is missing, broken, or does not fit the model.
        """
        if self._flow_weights:
            _FlowNetCheckpointer(self.model.flow_net).load(self._flow_weights)
        if not path:
            self._warn_of_random_flow([key for key, _ in self.model.named_parameters()])
        return super().load(path, checkpointables)

    def save(self, name: str, **kwargs: Any) -> None:
        """Writes `name`.pth to the save folder, see `DetectionCheckpointer`.

        Raises:
            InputError: there is no room for it.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        states = {key: value.state_dict() for key, value in self.checkpointables.items()}
        path = os.path.join(self.save_dir, f"{name}.pth")
        logger.info("Saving checkpoint to %s", path)
        remove_left_over(self.save_dir, below=False)  # of a training that was killed as it saved
        data = {"model": self.model.state_dict(), **states, **kwargs}
        try:
            with atomic_write(path) as temporary:
                torch.save(data, temporary)
        except RuntimeError as error:  # what torch makes of a disk that is full
            free = shutil.disk_usage(self.save_dir).free / 1e6
            raise InputError(
                f"checkpoint {path} cannot be written ({free:.0f} MB are free there); make room, "
                "and go on with --resume. Earlier checkpoints are whole"
            ) from error
        self.tag_last_checkpoint(f"{name}.pth")

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Notes which checkpoint `--resume` goes on from."""
        with atomic_write(os.path.join(self.save_dir, "last_checkpoint")) as temporary:
            temporary.write_text(last_filename_basename)

    def _load_model(self, checkpoint: dict[str, Any]) -> Any:
        if _BGR_BACKBONES in self._path and self._input_format == "RGB":
            _flip_stem_channels(checkpoint["model"])
        incompatible = super()._load_model(checkpoint)
        if incompatible.incorrect_shapes and not self._for_training:
            key, found, expected = incompatible.incorrect_shapes[0]
            raise InputError(
                f"checkpoint {self._path} does not fit the config: {key} has shape {tuple(found)} "
                f"in the file and {tuple(expected)} in the model; set MODEL.ROI_HEADS.NUM_CLASSES "
                "(and the backbone) to what it was trained with, or train from it first"
            )
        self._warn_of_random_flow(incompatible.missing_keys)
        return incompatible

    def _warn_of_random_flow(self, missing_keys: list[str]) -> None:
        if self._flow_weights or not any(key.startswith(_FLOW_PREFIX) for key in missing_keys):
            return
        logger.warning(
            "THE FLOW NETWORK HAS RANDOM WEIGHTS, with which feature aggregation is useless: set "
            "MODEL.FLOW_NET.WEIGHTS to a pretrained one (scripts/pretrain_flow.py makes one), or "
            "MODEL.WEIGHTS to a checkpoint that has one."
        )


def _flip_stem_channels(weights: dict[str, Any]) -> None:
    for key, value in weights.items():
        if key.endswith(("stem.conv1.weight", "conv1_w")):
            weights[key] = value[:, ::-1].copy()

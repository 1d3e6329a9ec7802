"""Training and evaluation by a config: what `train_net.py` runs."""

import logging
import weakref
from collections import OrderedDict
from collections.abc import Iterable

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.engine import DefaultTrainer, HookBase, TrainerBase, create_ddp_model
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator
from detectron2.utils import comm
from torch import nn
from torch.utils.data import DataLoader

import fgfa.modeling  # noqa: F401  registers the model's parts
from fgfa.activation_checkpointing import checkpoint_activations
from fgfa.checkpoint import FGFACheckpointer
from fgfa.config import with_raw_boxes
from fgfa.data import build_test_loader, build_train_loader
from fgfa.data.seeding import run_seed
from fgfa.errors import InputError
from fgfa.evaluation import ImageNetVIDEvaluator
from fgfa.final_checkpoint import FinalCheckpoint
from fgfa.model_parts import freeze_parts
from fgfa.recent_metrics import RecentMetrics
from fgfa.solver import build_optimizer
from fgfa.stop_hook import StopOnSignal
from fgfa.training_step import AccumulatingTrainer

logger = logging.getLogger(__name__)


class Trainer(DefaultTrainer):
    """Detectron2's default trainer with video data, VID evaluation, and several CPU processes.

    On a CPU a training repeats itself to the bit with its seed, whatever DATALOADER.NUM_WORKERS is,
    and one that was interrupted and resumed ends as if it had not been.
    """

    def __init__(self, cfg: CfgNode) -> None:
        # DefaultTrainer's own constructor pins each process to a GPU; this one also knows CPUs.
        TrainerBase.__init__(self)
        cfg = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        device_type = torch.device(cfg.MODEL.DEVICE).type
        device_ids = [comm.get_local_rank()] if device_type == "cuda" else None
        model = create_ddp_model(model, broadcast_buffers=False, device_ids=device_ids)
        self._trainer = AccumulatingTrainer(
            model,
            (),  # see `train`
            optimizer,
            seed=run_seed(cfg),
            batches_per_step=_batches_per_step(cfg),
            mixed_precision_on=device_type if cfg.SOLVER.AMP.ENABLED else None,
            output_dir=cfg.OUTPUT_DIR,
        )
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = FGFACheckpointer(
            model, cfg, cfg.OUTPUT_DIR, for_training=True, trainer=weakref.proxy(self)
        )
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        self.cfg = cfg
        self.register_hooks(self.build_hooks())

    def train(self) -> OrderedDict | None:
        """Trains, see `DefaultTrainer.train`, on the batches from where the last training ended."""
        step = self._trainer
        logger.info("The training's seed is %d.", step.seed)
        first_batch = self.start_iter * step.batches_per_step
        step.data_loader = self.build_train_loader(self.cfg, step.seed, first_batch)
        return super().train()

    def build_hooks(self) -> list[HookBase]:
        return [
            RecentMetrics(),
            *super().build_hooks(),
            FinalCheckpoint(self.checkpointer),
            StopOnSignal(self.checkpointer),
        ]

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        model = super().build_model(with_raw_boxes(cfg) if cfg.TEST.SEQ_NMS.ENABLED else cfg)
        freeze_parts(model, cfg.MODEL.FROZEN_PARTS)
        checkpoint_activations(model, cfg.MODEL.CHECKPOINTED_PARTS)
        return model

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(cfg, model)

    @classmethod
    def build_train_loader(
        cls, cfg: CfgNode, seed: int | None = None, first_batch: int = 0
    ) -> Iterable[list[dict]]:
        """See `fgfa.data.build_train_loader`; a subclass can choose another sampler."""
        return build_train_loader(cfg, seed, first_batch)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> DataLoader:
        return build_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> DatasetEvaluator:
        if MetadataCatalog.get(dataset_name).get("evaluator_type") == "coco":
            return COCOEvaluator(dataset_name, output_dir=cfg.OUTPUT_DIR)
        return ImageNetVIDEvaluator(
            dataset_name,
            cfg.OUTPUT_DIR,
            motion_iou=cfg.TEST.MOTION_IOU,
            seq_nms=cfg.TEST.SEQ_NMS.ENABLED,
            save_raw_boxes=cfg.TEST.SEQ_NMS.SAVE_RAW_BOXES,
            nms_iou=cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST,
            detections_per_image=cfg.TEST.DETECTIONS_PER_IMAGE,
        )


def _batches_per_step(cfg: CfgNode) -> int:
    count = cfg.SOLVER.GRADIENT_ACCUMULATION
    if count < 1:
        raise InputError(f"SOLVER.GRADIENT_ACCUMULATION is {count}; set it to 1 or more")
    return count

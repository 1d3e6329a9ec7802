#!/usr/bin/env python
"""Trains and evaluates FGFA and its single-frame baseline, with the arguments of Detectron2.

    python projects/FGFA/train_net.py --num-gpus 8 \
        --config-file configs/imagenet_vid/fgfa_rfcn_R_101.yaml
    python projects/FGFA/train_net.py --eval-only \
        --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml MODEL.WEIGHTS model.pth
"""

import argparse
import logging
import weakref
from collections import OrderedDict

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.engine import (
    AMPTrainer,
    DefaultTrainer,
    SimpleTrainer,
    TrainerBase,
    create_ddp_model,
    default_argument_parser,
    default_setup,
    launch,
)
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator, verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from torch import nn
from torch.utils.data import DataLoader

import fgfa.modeling  # noqa: F401  registers the model's parts
from fgfa.checkpoint import FGFACheckpointer
from fgfa.config import load_config, with_raw_boxes
from fgfa.data import build_test_loader, build_train_loader
from fgfa.errors import InputError, one_sentence_errors
from fgfa.evaluation import ImageNetVIDEvaluator
from fgfa.modeling.inference_layout import prepare_for_inference
from fgfa.solver import build_optimizer


class Trainer(DefaultTrainer):
    """Detectron2's default trainer with video data, VID evaluation, and several CPU processes."""

    def __init__(self, cfg: CfgNode) -> None:
        # DefaultTrainer's own constructor pins each process to a GPU; this one also knows CPUs.
        TrainerBase.__init__(self)
        cfg = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        device_ids = [comm.get_local_rank()] if cfg.MODEL.DEVICE.startswith("cuda") else None
        model = create_ddp_model(model, broadcast_buffers=False, device_ids=device_ids)
        trainer_class = AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer
        self._trainer = trainer_class(model, self.build_train_loader(cfg), optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = FGFACheckpointer(
            model, cfg, cfg.OUTPUT_DIR, for_training=True, trainer=weakref.proxy(self)
        )
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        self.cfg = cfg
        self.register_hooks(self.build_hooks())

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        return super().build_model(with_raw_boxes(cfg) if cfg.TEST.SEQ_NMS.ENABLED else cfg)

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(cfg, model)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> DataLoader:
        return build_train_loader(cfg)

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


def setup(args: argparse.Namespace) -> CfgNode:
    """The config of the command line, with logging, seeds and output folder set up."""
    cfg = load_config(args.config_file, args.opts)
    cfg.freeze()
    default_setup(cfg, args)
    # Detectron2 shows its own messages only.
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="fgfa")
    # Its training loop logs every exception with a traceback; a user's error ends in a sentence.
    logging.getLogger("detectron2.engine.train_loop").addFilter(_is_no_input_error)
    return cfg


def _is_no_input_error(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], InputError))


def main(args: argparse.Namespace) -> OrderedDict | None:
    """Trains, or with --eval-only evaluates and returns the results, see `Trainer.test`."""
    cfg = setup(args)
    if not args.eval_only:
        trainer = Trainer(cfg)
        trainer.resume_or_load(resume=args.resume)
        return trainer.train()
    model = Trainer.build_model(cfg)
    FGFACheckpointer(model, cfg, cfg.OUTPUT_DIR).resume_or_load(
        cfg.MODEL.WEIGHTS, resume=args.resume
    )
    prepare_for_inference(model)
    results = Trainer.test(cfg, model)
    if comm.is_main_process():
        verify_results(cfg, results)
    return results


if __name__ == "__main__":
    with one_sentence_errors():
        args = default_argument_parser().parse_args()
        launch(
            main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )

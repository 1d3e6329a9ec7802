#!/usr/bin/env python
"""Trains and evaluates FGFA and its single-frame baseline, with the arguments of Detectron2.

    python projects/FGFA/train_net.py --num-gpus 4 \
        --config-file configs/imagenet_vid/fgfa_rfcn_R_101.yaml
    python projects/FGFA/train_net.py --eval-only \
        --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml MODEL.WEIGHTS model.pth

Either goes on where it was interrupted with --resume.
"""

import argparse
import logging
from collections import OrderedDict

from detectron2.config import CfgNode
from detectron2.engine import default_argument_parser, default_setup, launch
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from fgfa.checkpoint import FGFACheckpointer
from fgfa.config import load_config
from fgfa.errors import InputError, one_sentence_errors
from fgfa.evaluation_run import evaluate
from fgfa.modeling.inference_layout import prepare_for_inference
from fgfa.trainer import Trainer


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
    """Trains, or with --eval-only evaluates and returns the results, see `evaluate`."""
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
    results = evaluate(cfg, model, args.resume)
    if comm.is_main_process():
        verify_results(cfg, results)
    return results


if __name__ == "__main__":
    # StopOnSignal has said what there is to say.
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

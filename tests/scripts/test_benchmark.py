import contextlib
import io
import json
import os
import sys

import pytest
import torch

from benchmark import main
from benchmarking import compositions
from benchmarking.measuring import (
    copy_run,
    in_process_for_memory,
    peak_extra_bytes,
    time_alternately,
)
from benchmarking.op_cases import Case
from benchmarking.op_figures import Alternative, CaseFigures, summary, table
from benchmarking.ops import difference, runner
from benchmarking.workloads import LAYOUTS, feature_maps, random_boxes, smooth_flow
from fgfa.errors import InputError
from fgfa.layers import aggregate_reference, flow_warp_reference

CPU = torch.device("cpu")
TINY = ("ops", "--frames=3", "--size", "5", "7", "--channels=8", "--embedding=12", "--repeat=1")
MEGABYTES = 2**20


@pytest.fixture(scope="module")
def ops_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict]:
    """What a run of the subcommand on tiny maps prints and writes."""
    output = tmp_path_factory.mktemp("benchmark") / "ops.json"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main([*TINY, "--threads", "1", "2", "--output", str(output)])
    return printed.getvalue(), json.loads(output.read_text())


def test_ops_prints_tables_and_writes_json(ops_run: tuple[str, dict]) -> None:
    printed, report = ops_run
    for layout in LAYOUTS:
        for direction in ("forward", "forward + backward"):
            for op in ("aggregate", "flow_warp", "ps_roi_pool"):
                assert f"{op}, {direction}, {layout} (" in printed
    assert report["machine"]["torch"] == torch.__version__
    assert report["settings"]["frames"] == 3
    assert len(report["cases"]) == 12
    for case in report["cases"]:
        assert set(case["copy_bytes_per_second"]) == {"1", "2"}
        assert case["alternatives"][0]["name"] == "fgfa"
        for alternative in case["alternatives"]:
            assert alternative["name"] in printed
            check_figures(alternative, case)


def check_figures(alternative: dict, case: dict) -> None:
    own = case["alternatives"][0]
    for threads, seconds in alternative["seconds"].items():
        assert 0 < seconds <= alternative["median_seconds"][threads]
        assert alternative["ratio"][threads] == pytest.approx(seconds / own["seconds"][threads])
        bandwidth = alternative["copy_share"][threads] * case["copy_bytes_per_second"][threads]
        assert bandwidth == pytest.approx(case["bytes"] / seconds)
    if "other rounding" not in alternative["name"]:
        assert alternative["difference"] < 1e-5


def test_bytes_are_those_of_inputs_and_results(ops_run: tuple[str, dict]) -> None:
    _, report = ops_run
    by_name = {(c["op"], c["backward"], c["layout"]): c["bytes"] for c in report["cases"]}
    cells = 5 * 7 * 4
    # Features, embeddings and flow of 3 frames, the key's embedding, the result.
    assert by_name["aggregate", False, "NCHW"] == cells * (3 * (8 + 12 + 2) + 12 + 8)
    # Inputs of 2 frames and their gradients; the result and its gradient.
    assert by_name["aggregate", True, "NCHW"] == cells * 2 * (2 * (8 + 12 + 2) + 12 + 8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu() -> None:
    with pytest.raises(InputError, match="torch sees no GPU"):
        main([*TINY, "--device", "cuda"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", compositions.AGGREGATE)
def test_compositions_aggregate(name: str, layout: str) -> None:
    features, embeddings, key = (
        feature_maps(*shape, (5, 7), layout).double() for shape in ((3, 4), (3, 6), (1, 6))
    )
    embeddings = 100 * embeddings  # long beside what the twin adds to norms, off the map's edge too
    inputs = features, embeddings, smooth_flow(3, (5, 7)).double(), key
    check_composition(
        compositions.AGGREGATE[name], aggregate_reference, inputs, torch.rand(1, 4, 5, 7)
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", compositions.FLOW_WARP)
def test_compositions_warp(name: str, layout: str) -> None:
    features = feature_maps(3, 4, (5, 7), layout).double()
    inputs = features, smooth_flow(3, (5, 7)).double()
    check_composition(
        compositions.FLOW_WARP[name], flow_warp_reference, inputs, torch.rand(3, 4, 5, 7)
    )


def check_composition(function, reference, inputs, grad) -> None:
    case = Case(function, {}, reference, inputs, grad.double(), op="", layout="")
    ours, expected = (runner(f, case)() for f in (function, reference))
    assert len(ours) == 1 + len(inputs)
    for result, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(result, wanted, rtol=0, atol=1e-6)


def test_runs_take_turns() -> None:
    before, calls = torch.get_num_threads(), []
    runs = {name: lambda name=name: calls.append((name, torch.get_num_threads())) for name in "ab"}
    seconds = time_alternately(runs, [1, 2], 3, CPU, "")
    assert calls == [("a", 1), ("b", 1), ("a", 2), ("b", 2)] * 3
    assert {name: set(times) for name, times in seconds.items()} == {"a": {1, 2}, "b": {1, 2}}
    assert all(len(times) == 3 for times in seconds["a"].values())
    assert torch.get_num_threads() == before


def test_number_of_threads_is_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        time_alternately({"": lambda: 1 / 0}, [before + 1], 1, CPU, "")
    assert torch.get_num_threads() == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")
def test_peak_counts_temporaries_and_results_but_nothing_from_before() -> None:
    held = torch.ones(64 * MEGABYTES, dtype=torch.uint8)

    def run() -> torch.Tensor:
        temporaries = [torch.ones(32 * MEGABYTES, dtype=torch.uint8) for _ in range(2)]
        # Made while they are alive: the allocator of this process may keep what is freed.
        result = held[: 16 * MEGABYTES] + 1
        del temporaries
        return result

    assert peak_extra_bytes(run, CPU) == pytest.approx(80 * MEGABYTES, abs=2 * MEGABYTES)


def test_process_for_memory_has_its_own_allocator_settings() -> None:
    before = dict(os.environ)
    setting = in_process_for_memory(os.getenv, "MALLOC_MMAP_THRESHOLD_")
    assert setting == "65536"
    assert dict(os.environ) == before


def test_copy_moves_all_bytes() -> None:
    copy, moved = copy_run(CPU)
    target = copy()
    assert moved == 2 * target.nbytes
    assert target.all()


def test_difference_is_relative_to_the_largest_value() -> None:
    results = torch.tensor([1.0, 2.0]), torch.tensor([100.0, -399.0])
    expected = torch.tensor([1.0, 2.0]), torch.tensor([100.0, -400.0])
    assert difference(results, expected) == pytest.approx(1 / 400)


def figures(name: str, seconds: float, extra_mb: int, difference: float = 0) -> Alternative:
    both = {1: seconds, 2: seconds / 1.6}
    ratio = {1: seconds / 0.01, 2: seconds / 0.01}
    return Alternative(name, both, both, ratio, {1: 0.123, 2: 0.1}, extra_mb * 10**6, difference)


def test_table_and_summary() -> None:
    case = CaseFigures(
        "op",
        False,
        "NCHW",
        [[1]],
        8,
        {1: 5e9, 2: 9e9},
        [
            figures("fgfa", 0.01, 3),
            figures("usual", 0.3, 100),
            figures("clever", 0.2, 50),
            figures("of another kind", 0.1, 1, difference=0.5),
        ],
    )
    row = next(line for line in table(case).splitlines() if "clever" in line)
    times = "200.00 200.00 20.00 12% 125.00 125.00 20.00 10% 1.60x"
    assert row.split() == ["clever", *times.split(), "50.0", "0e+00"]
    one_thread, two_threads, memory = summary(case).splitlines()
    assert one_thread.startswith("1 thread: 20.0x as fast as the fastest composition (clever), 30")
    assert "9.0 GB/s" in two_threads
    assert "3.0% of" in memory


def test_flow_is_a_few_cells_and_off_the_lines() -> None:
    flow = smooth_flow(4, (20, 30))
    assert 1 < flow.abs().mean() < 5
    assert (flow[..., 1:] - flow[..., :-1]).abs().mean() < 1
    assert ((flow - flow.round()).abs() > 1e-3).all()


def test_boxes_are_ordered_and_inside() -> None:
    image, *corners = random_boxes(50, (20, 30)).unbind(dim=1)
    left, top, right, bottom = corners
    assert (image == 0).all()
    assert ((left >= 0) & (left <= right) & (right <= 30)).all()
    assert ((top >= 0) & (top <= bottom) & (bottom <= 20)).all()

"""Measures an FGFA model, its plain path and the machine's peak in turns."""

import copy
from collections.abc import Callable
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarking.detection_difference import detection_difference
from benchmarking.machine_peak import peak_flops_per_second, peak_runs
from benchmarking.measuring import held_bytes, seconds_of, time_alternately
from benchmarking.model_figures import CaseFigures, PartFigures, StreamFigures
from benchmarking.model_parts import PARTS, PartMeter, clock, flop_meter
from benchmarking.plain_model import PlainVideo
from benchmarking.steady_video import SteadyVideo, context, fill, play
from benchmarking.workloads import moving_blobs
from fgfa.modeling import FGFA
from fgfa.modeling.inference_layout import prepare_for_inference

Size = tuple[int, int]
FAST, PLAIN, FRAME = "fgfa", "plain", "frame"


class Models:
    """The same model as it was built, and prepared for inference."""

    def __init__(self, model: FGFA) -> None:
        self.plain = model
        self.fast = prepare_for_inference(copy.deepcopy(model))

    def set_radius(self, radius: int) -> None:
        self.plain.test_radius = self.fast.test_radius = radius


def measure(
    models: Models, size: Size, repeat: int, device: torch.device, streamed: StreamFigures
) -> CaseFigures:
    """Measures at one size, and at the radius of the models.

    Args:
        models: what to run.
        size: height and width of the frames, pixels.
        repeat: how often to time.
        device: where the models are.
        streamed: figures of a video that was measured before.
    """
    flops = count_flops(models.plain, size)
    videos = {
        FAST: fill(models.fast, models.fast.start_video(), moving_blobs(size)),
        PLAIN: fill(models.plain, PlainVideo(models.plain), moving_blobs(size)),
    }
    # The first step warms up.
    difference = detection_difference(*(videos[name].step()[0] for name in (PLAIN, FAST)))
    meters = {
        name: PartMeter(model, clock(device))
        for name, model in ((FAST, models.fast), (PLAIN, models.plain))
    }
    machine = peak_runs(device)
    runs = {name: _metered(videos[name], meters[name]) for name in videos} | machine
    seconds = _time(runs, repeat, device)
    peaks = peak_flops_per_second({name: min(seconds[name]) for name in machine})
    fast, plain = (_with_frame(meters[name].totals()) for name in (FAST, PLAIN))
    keys_a_step = models.fast.frames_per_batch
    figures = [
        _part_figures(name, fast[name], plain[name], keys_a_step, flops[name], peaks)
        for name in (*PARTS, FRAME)
    ]
    return CaseFigures(
        size=size,
        radius=models.fast.test_radius,
        window=1 + sum(context(models.fast)) // models.fast.test_stride,
        frame=figures[-1],
        parts=figures[:-1],
        peak_flops_per_second=peaks,
        difference=difference,
        stream=streamed,
    )


def count_flops(model: FGFA, size: Size) -> dict[str, float]:
    """Floating point operations a frame by part, and of all parts as `FRAME`.

    Args:
        model: not prepared for inference: nothing is counted inside of compiled or fused operators.
        size: height and width of the frames, pixels.
    """
    frames, video = moving_blobs(size), model.start_video()
    # What frames show makes no difference.
    (encoding,) = model.encode([next(frames)])
    for _ in range(sum(context(model))):
        video.window.add(encoding)
    steady = SteadyVideo(model, video, frames, key=context(model)[0])
    steady.step()  # composed flow makes up for the steps of the window
    with FlopCounterMode(display=False) as counter:
        meter = PartMeter(model, flop_meter(counter))
        with meter.measuring():
            steady.step()
    flops = {part: total / model.frames_per_batch for part, (total,) in meter.totals().items()}
    return flops | {FRAME: sum(flops.values())}


def stream(
    model: FGFA, size: Size, frames: int, device: torch.device, before: tuple[int, int] | None
) -> StreamFigures:
    """Runs a prepared model over a video.

    Args:
        model: what to run.
        size: height and width of the frames, pixels.
        frames: how many to time, behind the first with a full window.
        device: where the model is.
        before: what `held_bytes` gave before the model was built.
    """
    # Not filled at once: a window holds less of frames that have been key frames.
    video = play(model, model.start_video(), moving_blobs(size))
    video.step()
    start = held_bytes(device)
    steps = max(2, -(-frames // model.frames_per_batch))
    seconds = [seconds_of(video.step, device) / model.frames_per_batch for _ in range(steps)]
    end = held_bytes(device)
    return StreamFigures(
        frames=steps * model.frames_per_batch,
        first_half_seconds=median(seconds[: steps // 2]),
        second_half_seconds=median(seconds[steps // 2 :]),
        before_bytes=before and before[0],
        start_bytes=start and start[0],
        end_bytes=end and end[0],
        peak_bytes=end and end[1],
    )


def _metered(video: SteadyVideo, meter: PartMeter) -> Callable[[], None]:
    def run() -> None:
        video.step()  # or it would be measured in memory and caches as the other model left them
        with meter.measuring():
            video.step()

    return run


def _time(
    runs: dict[str, Callable[[], object]], repeat: int, device: torch.device
) -> dict[str, list[float]]:
    threads = torch.get_num_threads()
    timed = time_alternately(runs, [threads], repeat, device, "model")
    return {name: by_threads[threads] for name, by_threads in timed.items()}


def _with_frame(totals: dict[str, list[float]]) -> dict[str, list[float]]:
    """Adds the sums of all parts, in which placing the meter does not count."""
    return totals | {FRAME: [sum(run) for run in zip(*totals.values(), strict=True)]}


def _part_figures(
    name: str,
    seconds: list[float],
    plain_seconds: list[float],
    keys: int,
    flops: float,
    peaks: dict[str, float],
) -> PartFigures:
    """Figures a frame from times of runs of some key frames."""
    least = min(seconds) / keys
    return PartFigures(
        name=name,
        seconds=least,
        median_seconds=median(seconds) / keys,
        plain_seconds=min(plain_seconds) / keys,
        plain_median_seconds=median(plain_seconds) / keys,
        flops=flops,
        peak_share={kind: flops and flops / least / peak for kind, peak in peaks.items()},
    )

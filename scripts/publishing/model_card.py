"""The model card of a checkpoint, in Markdown."""

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from detectron2.config import CfgNode

from publishing.half_precision import Weights

VID_MINI = (
    "1,000 training frames of ImageNet VID (ILSVRC2015), each of a different video; 30 classes.\n"
    "The backbone starts from ImageNet weights."
)


@dataclass(frozen=True)
class Release:
    """A checkpoint that is published, and what its card tells of it.

    Attributes:
        name: such as "fgfa://vid_mini/fgfa_rfcn_lite0".
        config_file: path relative to the repository.
        cfg: that config.
        weights: as published.
        size: of the file, bytes.
        sha256: of the file, in hexadecimal digits.
        rounding_error: see `largest_rounding_error`.
        data: what it was trained with, in sentences.
        commands: that trained it.
        results: a table in Markdown, "" for none.
        date: of publication.
    """

    name: str
    config_file: str
    cfg: CfgNode
    weights: Weights
    size: int
    sha256: str
    rounding_error: float
    data: str
    commands: Sequence[str]
    results: str
    date: datetime.date


def model_card(release: Release) -> str:
    """The text of the card, which ends with a line feed."""
    sections = [_summary(release), _use(release), _training(release)]
    if release.results:
        sections.append(_results(release))
    sections += [_LIMITS, _LICENSE]
    return "\n\n".join(sections) + "\n"


def _summary(release: Release) -> str:
    model = release.cfg.MODEL
    is_fgfa = model.META_ARCHITECTURE == "FGFA"
    frames = f"{2 * model.FGFA.TEST_RADIUS + 1} frames around it" if is_fgfa else "frame alone"
    flow_net = f", flow by {model.FLOW_NET.NAME}"
    if model.FLOW_NET.NAME == "FlowNetS":
        flow_net += f" of width {model.FLOW_NET.WIDTH:g}"
    counts = _millions(release.weights)
    parts = ", ".join(f"{part} {count:.2f}" for part, count in counts.items())
    return f"""# {release.name}

Detects objects of {model.ROI_HEADS.NUM_CLASSES} classes in videos, each frame from the {frames}.

| | |
|---|---|
| file | `{release.name.rpartition("/")[2]}.pth`, {release.size / 1e6:.1f} MB |
| SHA-256 | `{release.sha256}` |
| published | {release.date} |
| config | `{release.config_file}` |
| model | {model.META_ARCHITECTURE}: {model.BACKBONE.NAME}, {model.ROI_HEADS.NAME}\
{flow_net if is_fgfa else ""} |
| weights | {sum(counts.values()):.1f} million: {parts} |
| precision | half, rounded by at most {release.rounding_error:.1e} of a tensor's largest value |"""


def _millions(weights: Weights) -> dict[str, float]:
    counts = Counter()
    for name, value in weights.items():
        counts[name.partition(".")[0]] += value.numel() / 1e6
    return dict(counts)


def _use(release: Release) -> str:
    return f"""## Use
The name is a path wherever one of a checkpoint is taken; weights become single precision.
```
python projects/FGFA/demo.py --config-file {release.config_file} \\
    --video-input street.mp4 --output detected.mp4 --opts MODEL.WEIGHTS {release.name}
```
```python
from fgfa import VideoPredictor, load_config

cfg = load_config("{release.config_file}")
cfg.MODEL.WEIGHTS = "{release.name}"
for frame_index, instances in VideoPredictor(cfg)(frames):  # BGR, uint8, (H, W, 3)
    ...
```"""


def _training(release: Release) -> str:
    commands = "\n".join(["```", *release.commands, "```"]) if release.commands else ""
    return f"## Training\n{release.data}\n{commands}".rstrip()


def _results(release: Release) -> str:
    data_sets = ", ".join(f"`{name}`" for name in release.cfg.DATASETS.TEST)
    return f"""## Results
AP50 in percent on {data_sets}, for slow, medium and fast objects by motion IoU, with 95 % intervals
where they were computed. These figures are not comparable with published ones of ImageNet VID.

{release.results}"""


_LIMITS = """## Intended use and limits
For research and teaching, to try FGFA out, and as a start of trainings on other data. It has seen
few images of each class and misses much, small objects and unusual views above all; its scores are
not calibrated. It has not been examined for bias, nor for use where a missed or wrong detection can
do harm: do not use it there, nor to watch people."""

_LICENSE = """## License
Research use only: the weights derive from images of ImageNet, whose terms of access allow
non-commercial research and education. The license of fgfa's code does not cover them."""

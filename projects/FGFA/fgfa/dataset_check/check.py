"""The check of a data set."""

from dataclasses import dataclass

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.data.load_problems import LoadProblems
from fgfa.dataset_check.annotation_checks import check_annotations, steps_by_size
from fgfa.dataset_check.box_table import BoxTable
from fgfa.dataset_check.findings import Finding, Kind, findings_of
from fgfa.dataset_check.image_checks import Images, check_images
from fgfa.dataset_check.summary import Summary, summarize
from fgfa.errors import InputError
from fgfa.evaluation.registered_dataset import require_registered


@dataclass(frozen=True)
class Check:
    """What a check has found.

    Attributes:
        name: of the data set.
        summary: what it holds.
        findings: what is wrong, then what is odd.
        steps: (S,) motion from a frame to the next, in sizes of the box.
        box_sizes: (G,) square root of the area of each box, pixels.
    """

    name: str
    summary: Summary
    findings: list[Finding]
    steps: np.ndarray
    box_sizes: np.ndarray

    @property
    def is_wrong(self) -> bool:
        """Whether something is wrong, and not odd only."""
        return any(finding.kind.wrong for finding in self.findings)


def check_dataset(name: str, images: Images = Images.READ, jump: float = 1.0) -> Check:
    """Checks a data set that `register_coco_vid` or `register_imagenet_vid` has registered.

    Args:
        name: of the data set.
        images: what is done with its images.
        jump: the motion from a frame to the next, in sizes of the box, above which a track jumps.

    Raises:
        InputError: there is no such data set, or so little of it can be read that there is nothing
            to check.
    """
    require_registered(name)
    if MetadataCatalog.get(name).get("evaluator_type") != "imagenet_vid":
        raise InputError(f"data set {name} is none of videos, which are checked here")
    problems = LoadProblems()
    dicts = DatasetCatalog[name](problems=problems)
    class_names = MetadataCatalog.get(name).thing_classes
    table = BoxTable.of_dicts(dicts)
    others = [f"{name}, {count} objects" for name, count in problems.other_names.most_common()]
    findings = [
        *findings_of(Kind.UNREADABLE_ANNOTATION, problems.sentences),
        *findings_of(Kind.UNKNOWN_CLASS, others),
        *check_annotations(table, class_names, jump),
        *check_images(dicts, images),
    ]
    order = list(Kind)
    return Check(
        name=name,
        summary=summarize(table, class_names),
        findings=sorted(findings, key=lambda finding: order.index(finding.kind)),
        steps=steps_by_size(table)[1],
        box_sizes=np.sqrt(table.sizes().clip(min=0).prod(axis=1)),
    )

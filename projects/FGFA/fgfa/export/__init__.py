"""A trained FGFA as two programs for one size of frames, which run without the model's code.

Once a frame: image -> feature, embedding, input of the flow network. Once a window of frames:
these -> boxes, scores, classes in the key frame. `scripts/export_model.py` writes and checks them.
"""

from .checking import Comparison, Tolerance
from .folder import (
    FORMATS,
    Program,
    describe_tensors,
    detect,
    load_programs,
    save_programs,
    write_description,
)
from .plan import ExportPlan, to_input
from .programs import export_programs, kept_of

__all__ = [
    "FORMATS",
    "Comparison",
    "ExportPlan",
    "Program",
    "Tolerance",
    "describe_tensors",
    "detect",
    "export_programs",
    "kept_of",
    "load_programs",
    "save_programs",
    "to_input",
    "write_description",
]

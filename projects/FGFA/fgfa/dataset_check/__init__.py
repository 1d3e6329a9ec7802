"""Looks for what is wrong or odd in a data set, before a training does.

`check.py` reads a registered data set and asks `annotation_checks.py` (boxes and tracks, of a
`box_table.py`) and `image_checks.py` (files) for `findings.py`; `summary.py` counts and measures;
`tables.py` and `picture.py` show what there is.
"""

from fgfa.dataset_check.check import Check, check_dataset

__all__ = ["Check", "check_dataset"]

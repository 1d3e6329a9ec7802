import pytest

import fgfa.data  # noqa: F401  registers the built-in data sets
from fgfa.errors import InputError
from fgfa.evaluation.registered_dataset import registered_dataset


def test_unknown_name_lists_video_data_sets():
    with pytest.raises(InputError, match=r"named nowhere.*vid_mini_val") as error:
        registered_dataset("nowhere")
    assert "coco_2017" not in str(error.value)

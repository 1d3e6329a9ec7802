from detectron2.data import MetadataCatalog

from fgfa.data.class_names import find_class_names


def test_classes_are_those_of_the_first_test_set(cfg, dataset_name):
    MetadataCatalog.get(dataset_name).thing_classes = ["cat", "dog"]
    cfg.DATASETS.TEST = (dataset_name, "imagenet_vid_val")
    assert find_class_names(cfg) == ["cat", "dog"]


def test_a_test_set_that_is_not_registered_here_has_no_names(cfg, dataset_name):
    for names in ((), (dataset_name,)):
        cfg.DATASETS.TEST = names
        assert len(find_class_names(cfg)) == 0

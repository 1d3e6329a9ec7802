import itertools

import pytest

from fgfa.data.imagenet_vid import register_imagenet_vid
from fgfa.data.loaders import build_test_loader, build_train_loader
from fgfa.errors import InputError

DOG = ("dog", 0, (0, 0, 20, 30))


@pytest.fixture
def videos(tiny_vid, dataset_name):
    """Two registered clips of 4 and 3 frames."""
    tiny_vid.add_clip("a", 0, 4, [DOG])
    tiny_vid.add_clip("b", 0, 3, [DOG])
    tiny_vid.write_list("val", "a 1 0 4", "b 5 0 3")
    register_imagenet_vid(dataset_name, tiny_vid.root, "val", class_names=["dog"])
    return dataset_name


@pytest.mark.parametrize("workers", [0, 2])
def test_test_loader_reads_frames_in_order(cfg, videos, workers):
    cfg.DATALOADER.NUM_WORKERS = workers
    batches = list(build_test_loader(cfg, videos))
    assert [frame["image_id"] for (frame,) in batches] == list(range(1, 8))
    assert [len(frame["new_frames"]) for (frame,) in batches] == [3, 1, 0, 0, 3, 0, 0]


def test_test_loader_gives_batches_of_one_video(cfg, videos):
    cfg.TEST.FRAMES_PER_BATCH = 3
    batches = list(build_test_loader(cfg, videos))
    assert [[x["image_id"] for x in batch] for batch in batches] == [[1, 2, 3], [4], [5, 6, 7]]


@pytest.mark.parametrize(
    ("options", "entering"),
    [
        (["MODEL.FGFA.CAUSAL", True], [1, 1, 1, 1, 1, 1, 1]),
        (["MODEL.FGFA.TEST_STRIDE", 2, "MODEL.FGFA.TEST_RADIUS", 1], [3, 1, 0, 0, 3, 0, 0]),
    ],
)
def test_test_loader_reads_what_windows_reach(cfg, videos, options, entering):
    cfg.merge_from_list(options)
    batches = build_test_loader(cfg, videos)
    assert [len(frame["new_frames"]) for (frame,) in batches] == entering


def test_test_loader_gives_a_rank_whole_videos(cfg, videos, monkeypatch):
    monkeypatch.setattr("fgfa.data.samplers.comm.get_world_size", lambda: 2)
    monkeypatch.setattr("fgfa.data.samplers.comm.get_rank", lambda: 1)
    assert [frame["image_id"] for (frame,) in build_test_loader(cfg, videos)] == [5, 6, 7]


def test_fgfa_is_not_tested_on_key_frames(cfg, tiny_vid, dataset_name):
    tiny_vid.add_clip("a", 0, 4)
    tiny_vid.write_list("train", "a 1 0 4", "a 1 2 4")
    register_imagenet_vid(dataset_name, tiny_vid.root, "train", class_names=["dog"])
    with pytest.raises(InputError, match="video a: 2 of 4 frames are listed"):
        build_test_loader(cfg, dataset_name)
    cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    assert len(build_test_loader(cfg, dataset_name)) == 2


def test_train_loader_draws_batches_without_end(cfg, videos):
    cfg.DATASETS.TRAIN = (videos,)
    cfg.SOLVER.IMS_PER_BATCH = 3
    batches = list(itertools.islice(build_train_loader(cfg), 14))
    frames = [frame for batch in batches for frame in batch]
    assert {len(batch) for batch in batches} == {3}
    assert {frame["image_id"] for frame in frames} == set(range(1, 8))
    assert {len(frame["neighbors"]) for frame in frames} == {2}


def test_train_loader_groups_by_aspect_ratio(cfg, tiny_vid, dataset_name):
    for index in range(4):
        size = (40, 60) if index % 2 else (60, 40)
        tiny_vid.add_frame(f"still{index}", [DOG], size=size)
    tiny_vid.write_list("train", *(f"still{index} 1" for index in range(4)))
    register_imagenet_vid(dataset_name, tiny_vid.root, "train", class_names=["dog"])
    cfg.DATASETS.TRAIN = (dataset_name,)
    cfg.SOLVER.IMS_PER_BATCH = 2
    for batch in itertools.islice(build_train_loader(cfg), 10):
        assert len({frame["image"].shape for frame in batch}) == 1


def test_error_in_a_worker_keeps_its_sentence(cfg, tiny_vid, videos):
    cfg.DATALOADER.NUM_WORKERS = 1
    path = tiny_vid.image_path("a/000003")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError) as caught:
        list(build_test_loader(cfg, videos))
    assert str(caught.value).startswith(f"{path}: the image cannot be read")


def test_unknown_names_are_named(cfg):
    cfg.DATASETS.TRAIN = ("nowhere_train",)
    with pytest.raises(InputError, match="'nowhere_train' is not registered"):
        build_train_loader(cfg)
    with pytest.raises(InputError, match="'nowhere_val' is not registered"):
        build_test_loader(cfg, "nowhere_val")

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

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


def test_test_loader_leaves_videos_out(cfg, videos):
    (first, *_), *_ = build_test_loader(cfg, videos)
    rest = list(build_test_loader(cfg, videos, leave_out={first["video_id"]}))
    assert [frame["image_id"] for (frame,) in rest] == [5, 6, 7]
    assert [len(frame["new_frames"]) for (frame,) in rest] == [3, 0, 0]


def test_test_loader_gives_batches_of_one_video(cfg, videos):
    cfg.TEST.FRAMES_PER_BATCH = 3
    batches = list(build_test_loader(cfg, videos))
    assert [[x["image_id"] for x in batch] for batch in batches] == [[1, 2, 3], [4], [5, 6, 7]]
    cfg.TEST.FRAMES_PER_BATCH = -1
    with pytest.raises(InputError, match=r"TEST\.FRAMES_PER_BATCH is -1; set it to 1 or more"):
        build_test_loader(cfg, videos)


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


def test_train_loader_takes_a_sampler_of_ones_own(cfg, videos):
    cfg.DATASETS.TRAIN = (videos,)
    cfg.SOLVER.IMS_PER_BATCH = 1

    def last_frames_first(frames):
        return itertools.cycle(reversed(range(len(frames))))

    loader = build_train_loader(cfg, make_sampler=last_frames_first)
    image_ids = [frame["image_id"] for (frame,) in itertools.islice(loader, 8)]
    assert image_ids == [7, 6, 5, 4, 3, 2, 1, 7]


def test_train_loader_draws_batches_without_end(cfg, videos):
    cfg.DATASETS.TRAIN = (videos,)
    cfg.SOLVER.IMS_PER_BATCH = 3
    batches = list(itertools.islice(build_train_loader(cfg), 14))
    frames = [frame for batch in batches for frame in batch]
    assert {len(batch) for batch in batches} == {3}
    assert {frame["image_id"] for frame in frames} == set(range(1, 8))
    assert {len(frame["neighbors"]) for frame in frames} == {2}


def contents(batches):
    """What the model sees of batches."""
    return [[torch.cat([x["image"], *x["neighbors"]]).tolist() for x in batch] for batch in batches]


def first_batches(cfg, count, **options):
    return contents(itertools.islice(build_train_loader(cfg, **options), count))


@pytest.fixture
def random_cfg(cfg, videos):
    """Batches of two, with random sizes, flips, colors and neighbors."""
    cfg.DATASETS.TRAIN = (videos,)
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.INPUT.RANDOM_FLIP = "horizontal"
    cfg.INPUT.MIN_SIZE_TRAIN = (8, 10, 12)
    cfg.INPUT.COLOR_JITTER = 0.5
    cfg.SEED = 3
    return cfg


def test_training_batches_follow_from_the_seed_with_any_number_of_workers(random_cfg):
    expected = first_batches(random_cfg, 5)
    for workers in (1, 2):
        random_cfg.DATALOADER.NUM_WORKERS = workers
        np.random.rand(workers)
        torch.rand(workers)
        assert first_batches(random_cfg, 5) == expected
    assert first_batches(random_cfg, 2, first_batch=3) == expected[3:]
    assert first_batches(random_cfg, 5, seed=4) != expected
    random_cfg.SEED = 4
    assert first_batches(random_cfg, 5, seed=3) == expected


def test_training_differs_without_a_seed_and_each_time_that_a_frame_comes(random_cfg):
    random_cfg.SEED = -1
    random_cfg.INPUT.MIN_SIZE_TRAIN = (40,)
    first, second = (first_batches(random_cfg, 21) for _ in range(2))
    assert first != second
    images = {str(image) for batch in first for image in batch}
    assert len(images) > 30


def test_ranks_read_different_frames_of_one_order(random_cfg, monkeypatch):
    random_cfg.DATALOADER.ASPECT_RATIO_GROUPING = False
    alone = [frame for batch in first_batches(random_cfg, 6) for frame in batch]
    monkeypatch.setattr("detectron2.utils.comm.get_world_size", lambda: 2)
    monkeypatch.setattr("detectron2.utils.comm.all_gather", lambda value: [value])
    shares = []
    for rank in range(2):
        monkeypatch.setattr("detectron2.utils.comm.get_rank", lambda rank=rank: rank)
        batches = first_batches(random_cfg, 6, seed=3)
        assert {len(batch) for batch in batches} == {1}
        shares.append([frame for (frame,) in batches])
    assert shares == [alone[::2], alone[1::2]]
    random_cfg.SOLVER.IMS_PER_BATCH = 3
    with pytest.raises(InputError, match=r"SOLVER\.IMS_PER_BATCH is 3"):
        build_train_loader(random_cfg)


@pytest.fixture
def stills_and_clip(cfg, tiny_vid):
    """Two registered data sets of eight frames each, as those of DET and VID."""
    names = ("stills_of_a_test", "clip_of_a_test")
    for index in range(8):
        tiny_vid.add_frame(f"still{index}", [DOG])
    tiny_vid.write_list("stills", *(f"still{index} 1" for index in range(8)))
    tiny_vid.add_clip("clip", 0, 8, [DOG])
    tiny_vid.write_list("clip", "clip 1 0 8")
    for name, image_set in zip(names, ("stills", "clip"), strict=True):
        register_imagenet_vid(name, tiny_vid.root, image_set, class_names=["dog"])
    cfg.DATASETS.TRAIN = names
    cfg.SOLVER.IMS_PER_BATCH = 4
    cfg.SEED = 0
    yield names
    for name, catalog in itertools.product(names, (DatasetCatalog, MetadataCatalog)):
        catalog.pop(name)


def test_data_sets_are_mixed_by_their_factors(cfg, stills_and_clip):
    stills, clip = stills_and_clip
    cfg.DATASETS.TRAIN_REPEAT_FACTOR = [[stills, 0.5], [clip, 2.0]]
    with pytest.raises(InputError, match=r"TRAIN_REPEAT_FACTOR is not used by TrainingSampler"):
        build_train_loader(cfg)
    cfg.DATALOADER.SAMPLER_TRAIN = "WeightedTrainingSampler"
    batches = list(itertools.islice(build_train_loader(cfg), 100))
    lengths = Counter(frame["video_length"] for batch in batches for frame in batch)
    assert lengths[1] == pytest.approx(400 * 0.5 / 2.5, rel=0.15)
    assert lengths[8] == 400 - lengths[1]
    later = itertools.islice(build_train_loader(cfg, first_batch=98), 2)
    assert contents(later) == contents(batches[98:])


@pytest.mark.parametrize("entry", [["nowhere", 2.0], ["clip_of_a_test"], ["clip_of_a_test", -1.0]])
def test_wrong_factor_of_a_data_set_is_one_sentence(cfg, stills_and_clip, entry):
    cfg.DATALOADER.SAMPLER_TRAIN = "WeightedTrainingSampler"
    cfg.DATASETS.TRAIN_REPEAT_FACTOR = [entry]
    with pytest.raises(InputError, match=r"DATASETS\.TRAIN_REPEAT_FACTOR has .*stills_of_a_test"):
        build_train_loader(cfg)


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


def test_classes_of_training_and_test_that_differ(cfg, videos, caplog):
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = (videos,)
    build_train_loader(cfg)
    assert "are not those of" not in caplog.text
    cfg.DATASETS.TEST = ("vid_mini_val",)
    build_train_loader(cfg)
    assert f"The classes of {videos} (dog) are not those of vid_mini_val" in caplog.text


def test_more_classes_than_the_model_has(cfg, videos):
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 0
    cfg.DATASETS.TRAIN = (videos,)
    for build in (lambda: build_train_loader(cfg), lambda: build_test_loader(cfg, videos)):
        with pytest.raises(InputError, match=r"has 1 classes, the model 0; set MODEL\.ROI_HEADS"):
            build()

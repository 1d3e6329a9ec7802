import copy

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.data import transforms as T
from PIL import Image

from fgfa.data.frame_reading import read_frame
from fgfa.data.imagenet_vid import load_imagenet_vid, register_imagenet_vid
from fgfa.data.mapper import VideoDatasetMapper
from fgfa.errors import InputError

LENGTH = 6


@pytest.fixture
def frames(tiny_vid):
    """A clip whose frame i has gray 10 i on the left and 100 more on the right."""
    tiny_vid.add_clip("a", 0, LENGTH, [("dog", 0, (0, 0, 20, 30)), ("car", 1, (10, 5, 59, 39))])
    tiny_vid.write_list("val", f"a 1 0 {LENGTH}")
    return load_imagenet_vid(tiny_vid.root, "val", {"dog": 0, "car": 1})


def index_of(image: torch.Tensor) -> int:
    """The frame that an image of `frames` shows, by its darker half."""
    return round(image.float().mean(dim=(0, 1)).min().item() / 10)


def test_training_gives_neighbors_and_instances(cfg, frames):
    cfg.MODEL.FGFA.TRAIN_RADIUS = 1
    cfg.MODEL.FGFA.TRAIN_NEIGHBORS = 3
    before = copy.deepcopy(frames[3])
    result = VideoDatasetMapper(cfg, is_train=True)(frames[3])
    assert frames[3] == before
    assert result["image"].shape == (3, 40, 60)
    assert result["image"].dtype == torch.uint8
    assert index_of(result["image"]) == 3
    assert sorted(map(index_of, result["neighbors"])) == [2, 3, 4]
    assert result["instances"].gt_classes.tolist() == [0, 1]
    assert result["instances"].gt_boxes.tensor.tolist() == [[0, 0, 20, 30], [10, 5, 59, 39]]
    assert "annotations" not in result


def test_neighbors_follow_the_global_seed(cfg, frames):
    mapper = VideoDatasetMapper(cfg, is_train=True)

    def draw(seed):
        np.random.seed(seed)
        return [index_of(n) for _ in range(5) for n in mapper(frames[3])["neighbors"]]

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


def test_neighbors_lie_at_the_distances_of_the_config(cfg, frames):
    cfg.MODEL.FGFA.TRAIN_RADIUS = 2
    cfg.MODEL.FGFA.TRAIN_OFFSET_WEIGHTS = [0.0, 0.0, 1.0]
    mapper = VideoDatasetMapper(cfg, is_train=True)
    assert sorted(map(index_of, mapper(frames[3])["neighbors"])) == [1, 5]


def test_file_of_a_still_is_read_once(cfg, tiny_vid, monkeypatch):
    tiny_vid.add_frame("still", [("dog", 0, (0, 0, 20, 30))])
    tiny_vid.write_list("stills", "still 1")
    (still,) = load_imagenet_vid(tiny_vid.root, "stills", {"dog": 0})
    paths = []

    def read_and_count(path, *args):
        paths.append(path)
        return read_frame(path, *args)

    monkeypatch.setattr("fgfa.data.mapper.read_frame", read_and_count)
    result = VideoDatasetMapper(cfg, is_train=True)(still)
    assert paths == [still["file_name"]]
    assert all(torch.equal(neighbor, result["image"]) for neighbor in result["neighbors"])


def test_no_neighbors(cfg, frames):
    cfg.MODEL.FGFA.TRAIN_NEIGHBORS = 0
    assert "neighbors" not in VideoDatasetMapper(cfg, is_train=True)(frames[0])


def test_one_augmentation_for_all_frames_and_boxes(cfg, frames):
    cfg.INPUT.RANDOM_FLIP = "horizontal"
    cfg.INPUT.MIN_SIZE_TRAIN = (30, 50)
    mapper = VideoDatasetMapper(cfg, is_train=True)
    np.random.seed(0)
    seen = set()
    for _ in range(40):
        result = mapper(frames[3])
        images = [result["image"], *result["neighbors"]]
        height, width = result["image"].shape[1:]
        assert {image.shape for image in images} == {result["image"].shape}
        flipped = {bool(image[0, 0, 0] > image[0, 0, -1]) for image in images}
        assert len(flipped) == 1
        dog = result["instances"].gt_boxes.tensor[0].tolist()
        left = width - width / 3 if flipped == {True} else 0
        np.testing.assert_allclose(dog, [left, 0, left + width / 3, height * 0.75], rtol=1e-5)
        seen.add((height, *flipped))
    assert seen == {(30, False), (30, True), (50, False), (50, True)}


def test_crop_drops_boxes_outside(cfg, frames):
    cfg.INPUT.CROP.ENABLED = True
    cfg.INPUT.CROP.TYPE = "absolute"
    cfg.INPUT.CROP.SIZE = [8, 8]
    cfg.INPUT.MIN_SIZE_TRAIN = (8,)
    mapper = VideoDatasetMapper(cfg, is_train=True)
    np.random.seed(0)
    results = [mapper(frames[3]) for _ in range(30)]
    assert {result["image"].shape for result in results} == {(3, 8, 8)}
    assert {len(result["instances"]) for result in results} == {0, 1, 2}


def test_color_jitter_is_the_same_for_all_frames(cfg, frames):
    cfg.INPUT.COLOR_JITTER = 0.5
    cfg.MODEL.FGFA.TRAIN_RADIUS = 0
    cfg.MODEL.FGFA.TRAIN_NEIGHBORS = 1
    mapper = VideoDatasetMapper(cfg, is_train=True)
    np.random.seed(0)
    results = [mapper(frames[5]) for _ in range(8)]
    for result in results:
        torch.testing.assert_close(result["neighbors"][0], result["image"])
    assert len({result["image"].float().mean().item() for result in results}) == 8


def test_crowd_is_not_learned(cfg, frames):
    frames[0]["annotations"][0]["iscrowd"] = 1
    result = VideoDatasetMapper(cfg, is_train=True)(frames[0])
    assert result["instances"].gt_classes.tolist() == [1]


def test_frame_without_objects(cfg, frames):
    frames[0]["annotations"] = []
    assert len(VideoDatasetMapper(cfg, is_train=True)(frames[0])["instances"]) == 0


def test_fgfa_reads_each_frame_of_a_video_once(cfg, frames):
    mapper = VideoDatasetMapper(cfg, is_train=False)
    results = [mapper(frame) for frame in frames]
    entering = [[index_of(image) for image in result["new_frames"]] for result in results]
    assert entering == [[0, 1, 2], [3], [4], [5], [], []]
    for result in results:
        assert not {"image", "instances", "annotations"} & result.keys()
    assert [result["image_id"] for result in results] == list(range(1, LENGTH + 1))


def test_single_frame_model_gets_the_image(cfg, frames):
    cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    cfg.INPUT.MIN_SIZE_TEST = 80
    result = VideoDatasetMapper(cfg, is_train=False)(frames[4])
    assert index_of(result["image"]) == 4
    assert result["image"].shape == (3, 80, 120)
    assert (result["height"], result["width"]) == (40, 60)
    assert "new_frames" not in result
    assert "neighbors" not in VideoDatasetMapper(cfg, is_train=True)(frames[4])


def test_factor_of_the_resize_comes_with_every_key_frame(cfg, frames):
    cfg.INPUT.RESIZE_BY_FACTOR = True
    cfg.INPUT.MIN_SIZE_TEST = 50
    mapper = VideoDatasetMapper(cfg, is_train=False)
    results = [mapper(frame) for frame in frames]
    assert [result["image_scale"] for result in results] == [1.25] * LENGTH
    assert results[0]["new_frames"][0].shape == (3, 50, 75)
    assert (results[0]["height"], results[0]["width"]) == (40, 60)
    cfg.MODEL.META_ARCHITECTURE = "LegacyRCNN"
    assert VideoDatasetMapper(cfg, is_train=False)(frames[0])["image_scale"] == 1.25


@pytest.mark.parametrize("is_train", [True, False])
def test_resize_to_a_size_has_no_factor(cfg, frames, is_train):
    assert "image_scale" not in VideoDatasetMapper(cfg, is_train)(frames[0])


def test_corners_are_pixels_of_frames_resized_by_a_factor(cfg, frames):
    cfg.INPUT.RESIZE_BY_FACTOR = True
    cfg.INPUT.RANDOM_FLIP = "horizontal"
    cfg.INPUT.MIN_SIZE_TRAIN = (50,)
    # Beyond the last pixel, one pixel wide, and none to be learned.
    for bbox, iscrowd in (([30, 20, 60, 40], 0), ([7, 8, 7, 9], 0), ([0, 0, 9, 9], 1)):
        frames[3]["annotations"].append(
            {**frames[3]["annotations"][0], "bbox": bbox, "iscrowd": iscrowd}
        )
    upright = [[0, 0, 20, 30], [10, 5, 59, 39], [30, 20, 59, 39], [7, 8, 7, 9]]
    flipped = [[59 - x2, y1, 59 - x1, y2] for x1, y1, x2, y2 in upright]
    mapper = VideoDatasetMapper(cfg, is_train=True)
    np.random.seed(0)
    seen = set()
    for _ in range(20):
        result = mapper(frames[3])
        image, instances = result["image"], result["instances"]
        is_flipped = bool(image[0, 0, 0] > image[0, 0, -1])
        boxes = np.array(flipped if is_flipped else upright) * 1.25
        np.testing.assert_array_equal(instances.gt_boxes.tensor, boxes)
        assert instances.image_size == image.shape[1:] == (50, 75)
        assert instances.gt_classes.tolist() == [0, 1, 0, 0]
        seen.add(is_flipped)
    assert seen == {True, False}


def test_format_of_the_config(cfg, tiny_vid, frames):
    Image.new("RGB", (60, 40), (250, 100, 0)).save(tiny_vid.image_path("a/000000"))
    cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    rgb = VideoDatasetMapper(cfg, is_train=False)(frames[0])["image"]
    cfg.INPUT.FORMAT = "BGR"
    bgr = VideoDatasetMapper(cfg, is_train=False)(frames[0])["image"]
    assert rgb[0].float().mean() > 200
    torch.testing.assert_close(bgr.flip(0), rgb)


def test_mapper_without_a_config(frames):
    mapper = VideoDatasetMapper(
        is_train=False, augmentations=[T.Resize((20, 30))], image_format="RGB"
    )
    assert mapper(frames[2])["image"].shape == (3, 20, 30)


@pytest.mark.parametrize("is_train", [True, False])
def test_missing_frame_is_named(cfg, tiny_vid, frames, is_train):
    cfg.MODEL.FGFA.TRAIN_RADIUS = 1
    cfg.MODEL.FGFA.TRAIN_NEIGHBORS = 3
    tiny_vid.image_path("a/000001").unlink()
    with pytest.raises(InputError, match=r"a/000001\.JPEG: the frame does not exist"):
        VideoDatasetMapper(cfg, is_train=is_train)(frames[0])


@pytest.fixture
def clip_cfg(cfg, tiny_vid, dataset_name):
    """A training set of one still, of which clips are made."""
    tiny_vid.add_frame("still", [("dog", 0, (10, 5, 40, 30))])
    tiny_vid.write_list("stills", "still 1")
    register_imagenet_vid(dataset_name, tiny_vid.root, "stills", class_names=["dog"])
    cfg.DATASETS.TRAIN = (dataset_name,)
    cfg.INPUT.PSEUDO_CLIPS.ENABLED = True
    return cfg


def test_pseudo_clips_come_with_exact_flow(clip_cfg, dataset_name):
    clip_cfg.MODEL.FGFA.TRAIN_NEIGHBORS = 3
    (still,) = DatasetCatalog.get(dataset_name)
    result = VideoDatasetMapper(clip_cfg, is_train=True)(still)
    assert result["image"].shape == (3, 40, 60)
    assert [n.shape for n in result["neighbors"]] == [(3, 40, 60)] * 3
    assert {n.dtype for n in result["neighbors"]} == {torch.uint8}
    assert [f.shape for f in result["neighbor_flows"]] == [(2, 3, 4)] * 3
    assert result["instances"].image_size == (40, 60)
    assert result["instances"].gt_classes.tolist()[0] == 0
    assert "annotations" not in result


def test_pseudo_clips_of_a_single_frame_model(clip_cfg, dataset_name):
    clip_cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    (still,) = DatasetCatalog.get(dataset_name)
    result = VideoDatasetMapper(clip_cfg, is_train=True)(still)
    assert result["image"].shape == (3, 40, 60)
    assert not {"neighbors", "neighbor_flows"} & set(result)
    assert isinstance(result["instances"].gt_boxes.tensor, torch.FloatTensor)


def test_pseudo_clips_follow_the_global_seed(clip_cfg, dataset_name):
    (still,) = DatasetCatalog.get(dataset_name)
    mapper = VideoDatasetMapper(clip_cfg, is_train=True)

    def draw(seed):
        np.random.seed(seed)
        return torch.stack(mapper(still)["neighbors"])

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_videos_and_test_images_are_not_made_into_clips(clip_cfg, frames, dataset_name):
    assert "neighbor_flows" not in VideoDatasetMapper(clip_cfg, is_train=True)(frames[3])
    (still,) = DatasetCatalog.get(dataset_name)
    (image,) = VideoDatasetMapper(clip_cfg, is_train=False)(still)["new_frames"]
    assert np.array_equal(image.permute(1, 2, 0), read_frame(still["file_name"], "RGB", (40, 60)))


def test_pseudo_clips_do_not_go_with_the_resizing_of_the_original(clip_cfg):
    clip_cfg.INPUT.RESIZE_BY_FACTOR = True
    with pytest.raises(InputError, match="PSEUDO_CLIPS"):
        VideoDatasetMapper(clip_cfg, is_train=True)

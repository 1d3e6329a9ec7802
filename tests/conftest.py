"""Fixtures for all tests."""

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from hypothesis import HealthCheck, settings

from fgfa import add_fgfa_config

ROOT = Path(__file__).parents[1]
TINY = [
    *("MODEL.DEVICE", "cpu", "MODEL.META_ARCHITECTURE", "FGFA"),
    *("MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.BACKBONE.FREEZE_AT", 0),
    *("MODEL.FEATURE_CONV.OUT_CHANNELS", 16, "MODEL.FEATURE_CONV.DILATION", 1),
    *("MODEL.FGFA.EMBEDDING_CHANNELS", [8, 8, 12], "MODEL.FGFA.TEST_RADIUS", 2),
    *("MODEL.FLOW_NET.WIDTH", 0.05, "MODEL.ANCHOR_GENERATOR.SIZES", [[16, 32]]),
    *("MODEL.ROI_HEADS.NUM_CLASSES", 5, "MODEL.RFCN_HEAD.GRID_SIZE", 3),
    *("MODEL.RPN.POST_NMS_TOPK_TRAIN", 40, "MODEL.RPN.POST_NMS_TOPK_TEST", 40),
    *("MODEL.RFCN_HEAD.OHEM_ROIS", 16, "TEST.DETECTIONS_PER_IMAGE", 20),
]


# How fast examples come depends on what else the machine does.
settings.register_profile("any_speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_speed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=1, help="how often a training is killed")
    parser.addoption(
        "--fuzz-cases",
        type=int,
        default=250,
        metavar="N",
        help="hostile files of each kind in tests/fuzz (default: %(default)s)",
    )
    parser.addoption(
        "--sanitizers",
        action="store_true",
        help="run the compiled operators under sanitizers (tests/layers/test_sanitizers.py)",
    )


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what tests cache out of the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def dataset_name() -> Iterator[str]:
    """A name to register a data set under, which is taken back afterwards."""
    name = "data_set_of_a_test"
    yield name
    for catalog in (DatasetCatalog, MetadataCatalog):
        catalog.pop(name, None)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and goldens that the environment variable FGFA_SHARED names."""
    folder = os.environ.get("FGFA_SHARED")
    if not folder:
        pytest.skip("FGFA_SHARED does not name the folder of real data and goldens")
    return Path(folder)


@pytest.fixture(scope="session")
def golden(shared_dir: Path) -> Callable[[str], Mapping[str, np.ndarray]]:
    """A function that opens the arrays NAME.npz of the original."""
    return lambda name: np.load(shared_dir / "golden" / f"{name}.npz")


@pytest.fixture(scope="session")
def original_weights(shared_dir: Path) -> dict[str, np.ndarray]:
    """The parameters of the goldens' network by MXNet's names, float32; not to be written to."""
    descriptions = json.loads((shared_dir / "golden" / "params.json").read_text())
    weights = {}
    for name, description in descriptions.items():
        values = _values_by_rule(name, description["shape"])
        if name.endswith(("_bias", "_weight")):
            values = values * description["mult"] + description["offset"]
        weights[name] = values.astype("<f4")
        assert zlib.crc32(weights[name].tobytes()) == description["crc32_le_f32"], name
    return weights


def _values_by_rule(name: str, shape: Sequence[int]) -> np.ndarray:
    """What the goldens' README makes of a parameter's name and shape, before factor and offset."""
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    match name.rpartition("_")[2]:
        case "gamma":
            return (0.25 if name.endswith("branch2c_gamma") else 1) * (1 + 0.1 * noise)
        case "beta" | "mean":
            return 0.1 * noise
        case "var":
            return 0.8 + 0.3 * np.abs(noise)
        case "bias":
            return 0.05 * noise
    transposed = name.startswith(("deconv", "upsample_flow"))
    fan = shape[0] * shape[2] * shape[3] / 4 if transposed else np.prod(shape[1:])
    return noise * np.sqrt(2 / fan)


@pytest.fixture(scope="session")
def write_mxnet_params() -> Callable[[Path, Mapping[str, np.ndarray]], None]:
    """A function that writes float32 arrays by MXNet's names as a `.params` file (version 2).

    The file has the prefixes of a checkpoint, `aux:` for moving means and variances and `arg:` for
    all else.
    """

    def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        with path.open("wb") as file:
            file.write(struct.pack("<3Q", 0x112, 0, len(arrays)))
            for array in arrays.values():
                # Magic number, dense storage, shape, device (CPU 0), float32.
                file.write(struct.pack("<IiI", 0xF993FAC9, 0, array.ndim))
                file.write(struct.pack(f"<{array.ndim}q3i", *array.shape, 1, 0, 0))
                file.write(array.astype("<f4").tobytes())
            file.write(struct.pack("<Q", len(arrays)))
            for name in arrays:
                key = f"{'aux' if '_moving_' in name else 'arg'}:{name}".encode()
                file.write(struct.pack("<Q", len(key)) + key)

    return write


@pytest.fixture(scope="session")
def original_params_file(
    original_weights: dict[str, np.ndarray],
    write_mxnet_params: Callable[[Path, Mapping[str, np.ndarray]], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The goldens' network as a file of 420 MB, as MXNet writes it."""
    path = tmp_path_factory.mktemp("original") / "fgfa-0000.params"
    write_mxnet_params(path, original_weights)
    yield path
    path.unlink()


@pytest.fixture
def tiny_cfg() -> CfgNode:
    """FGFA with a random ResNet-18, few channels and 5 classes, for images of 64 x 96 pixels."""
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.merge_from_file(str(ROOT / "configs" / "Base-RFCN.yaml"))
    cfg.merge_from_list(TINY)
    return cfg

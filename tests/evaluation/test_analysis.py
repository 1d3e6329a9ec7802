import numpy as np
import pytest

from fgfa.evaluation.analysis import analyze, by_model, number_videos, results_of_analyses
from fgfa.evaluation.bootstrap import draw_videos
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.records import Detections

CAT, DOG = 0, 1
A, FAR = [0.0, 0, 99, 99], [300.0, 300, 350, 350]
LEAP = [[0.0, 200, 99, 299], [0.0, 400, 99, 499]]


@pytest.fixture
def dicts(make_frames) -> list[dict]:
    """Two videos of two frames: a cat that stays in both, and in the second a dog that leaps."""
    first = make_frames([[(A, CAT, 0)]] * 2, "first")
    return first + make_frames([[(A, CAT, 0), (box, DOG, 1)] for box in LEAP], "second", 3)


@pytest.fixture
def analyze_rows(dicts):
    """A function that analyzes rows of (image id, class, score, box)."""

    def of(name, rows, samples=200):
        ids, classes, scores, boxes = zip(*rows, strict=True)
        detections = Detections(
            np.array(ids), np.array(classes), np.array(scores), np.array(boxes, float)
        )
        videos = number_videos(dicts)
        protocol = MsraProtocol(dicts, ["cat", "dog"])
        return analyze(name, detections, protocol, videos, draw_videos(2, samples))

    return of


CATS = [(image_id, CAT, 0.9, A) for image_id in (1, 2, 3, 4)]
DOGS = [(3, DOG, 0.9, LEAP[0]), (4, DOG, 0.9, LEAP[1])]


def test_results_by_name(analyze_rows):
    results = analyze_rows("both", CATS + DOGS[:1]).results()
    assert results["bbox"]["AP50"] == 75
    assert results["bbox"]["AP50-fast"] == 50
    assert results["AP50_by_size"]["AP50-fast"]["50^2 to 150^2"] == 50
    assert results["errors"]["fast"]["missed"] == 1
    # Samples with the first video alone have no dog: 100; all others 75.
    assert results["AP50_interval"]["AP50"] == [75, 100]
    assert results["AP50_interval"]["AP50-fast"] == [50, 50]


def test_no_interval_without_samples(analyze_rows):
    analysis = analyze_rows("cats", CATS, samples=0)
    assert "AP50_interval" not in analysis.results()
    assert np.isnan(analysis.mean_ap()[1:]).all()


def test_gain_is_paired_by_video(analyze_rows):
    cats, both = analyze_rows("cats", CATS), analyze_rows("both", CATS + DOGS)
    # All, slow, medium, fast. AP of both models varies with the videos where the dog is not drawn.
    expected = [[50, 0, np.nan, 100], [0, 0, np.nan, 100], [50, 0, np.nan, 100]]
    np.testing.assert_array_equal(both.gain_over(cats), expected)
    np.testing.assert_array_equal(both.gain_over(both)[:, 0], [0, 0, 0])


def test_class_ap(analyze_rows):
    analysis = analyze_rows("half", [(1, CAT, 0.9, A), (2, CAT, 0.9, A), *DOGS])
    np.testing.assert_array_equal(analysis.class_ap(), [[50, 100], [0, 100], [100, 100]])


def test_several_models(analyze_rows):
    cats, both = analyze_rows("cats", CATS), analyze_rows("both", CATS + DOGS)
    results = results_of_analyses([cats, both])
    assert list(results["models"]) == ["cats", "both"]
    assert results["gains"]["both"]["AP50"] == [50, 0, 50]
    assert list(results_of_analyses([cats])) == list(cats.results())


def test_without_track_ids(make_frames):
    protocol = MsraProtocol(make_frames([[(A, CAT, None)]]), ["cat"])
    found = Detections(np.array([1]), np.array([CAT]), np.array([0.5]), np.array([A]))
    analysis = analyze("model", found, protocol, np.array([0]), draw_videos(1, 10))
    assert analysis.mean_ap().tolist() == [[100], [100], [100]]
    assert list(analysis.results()["errors"]) == ["all"]


def test_one_model_needs_no_name():
    assert by_model({"only": {"bbox": 1}}) == {"bbox": 1}
    assert by_model({"a": 1, "b": 2}) == {"models": {"a": 1, "b": 2}}


def test_videos_are_numbered_by_name():
    names = ["b", "b", "a", "c"]
    assert number_videos([{"video_id": name} for name in names]).tolist() == [1, 1, 0, 2]

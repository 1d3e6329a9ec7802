from types import SimpleNamespace

from detectron2.utils.events import EventStorage

from fgfa.recent_metrics import RecentMetrics


def test_logged_medians_are_those_of_a_training_that_was_not_interrupted():
    uninterrupted, first, second = EventStorage(0), EventStorage(0), EventStorage(25)
    for storage in (uninterrupted, first):
        put_losses(storage, range(25))
    saving, loading = (RecentMetrics() for _ in range(2))
    saving.trainer, loading.trainer = (SimpleNamespace(storage=s) for s in (first, second))
    assert set(saving.state_dict()) == {"loss"}
    loading.load_state_dict(saving.state_dict())
    loading.before_train()
    for storage in (uninterrupted, second):
        put_losses(storage, range(25, 30))
    logged = [s.latest_with_smoothing_hint(20) for s in (uninterrupted, second)]
    assert logged[0] == logged[1]


def test_nothing_is_saved_before_the_training():
    hook = RecentMetrics()
    hook.trainer = SimpleNamespace()
    assert hook.state_dict() == {}


def put_losses(storage: EventStorage, iterations: range) -> None:
    for iteration in iterations:
        storage.iter = iteration
        storage.put_scalar("loss", iteration**2 % 17)
        storage.put_scalar("lr", 0.1, smoothing_hint=False)

"""Errors of a user reach the screen as one sentence, also from other processes."""

import pytest
import torch.multiprocessing
from torch.utils.data import DataLoader, Dataset

from fgfa.errors import InputError, one_sentence_errors


class BrokenFrames(Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise InputError("a.jpg: the frame does not exist; add it.")


def fail(_rank: int) -> None:
    raise InputError("a.jpg: the frame does not exist; add it.")


def assert_one_sentence(capsys: pytest.CaptureFixture[str], status: int) -> None:
    out, err = capsys.readouterr()
    assert err == "error: a.jpg: the frame does not exist; add it.\n"
    assert out == ""
    assert status == 1


def test_input_error_ends_the_program(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended, one_sentence_errors():
        fail(0)
    assert_one_sentence(capsys, ended.value.code)


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_worker_of_a_data_loader_passes_it_on(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended, one_sentence_errors():
        next(iter(DataLoader(BrokenFrames(), num_workers=1)))
    assert_one_sentence(capsys, ended.value.code)


def test_spawned_process_passes_it_on(capsys: pytest.CaptureFixture[str]):
    sentence = "a.jpg: the frame does not exist; add it."
    text = f"-- Process 1 terminated:\nTraceback:\nfgfa.errors.InputError: {sentence}\n"
    with pytest.raises(SystemExit) as ended, one_sentence_errors():
        raise torch.multiprocessing.ProcessRaisedException(text, error_index=1, error_pid=1)
    assert_one_sentence(capsys, ended.value.code)


def test_interrupt_ends_the_program_quietly(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended, one_sentence_errors():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "")


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), one_sentence_errors():
        raise ZeroDivisionError


def test_no_error_passes():
    with one_sentence_errors():
        pass


def test_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)
    assert str(InputError("a sentence")) == "a sentence"

"""Which process this is, what each takes of a step, and what is refused. `training/test_processes.py` runs two."""

import signal

import pytest
import torch

from oddwave.errors import ConfigError
from oddwave.ranks import ONE, Ranks, asked_of_others, joined_ranks, led, next_task, started_several, were_idle
from oddwave.stopping import STOP_SIGNALS

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture
def alone(monkeypatch):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


def test_without_torchrun_there_is_one_process(alone):
    with joined_ranks("cpu") as ranks:
        assert (ranks.first, ranks.count, ranks.device) == (True, 1, "cpu")
    with led() as ranks, asked_of_others("anything", "cpu") as own:
        assert own == ONE
        assert ranks.of_first("told") == "told"
    assert not were_idle()
    assert next_task(ONE) is None


@pytest.mark.parametrize(
    ("changes", "several"),
    [({}, True), ({"WORLD_SIZE": "1"}, False), ({"WORLD_SIZE": "large"}, False), ({"MASTER_ADDR": ""}, False)],
)
def test_several_are_there_only_where_all_of_torchruns_variables_say_so(changes, several, alone, monkeypatch):
    assert not started_several()
    for name, value in (TORCHRUN | changes).items():
        monkeypatch.setenv(name, value)
    assert started_several() is several


def test_others_that_cannot_be_joined_are_said_and_signals_mean_what_they_did(alone, monkeypatch, capsys):
    for name, value in (TORCHRUN | {"MASTER_PORT": "none"}).items():
        monkeypatch.setenv(name, value)
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with pytest.raises(ConfigError, match=r"process 2 of 2 cannot join the others.*unset WORLD_SIZE"), joined_ranks():
        pass
    assert "process 2 of 2, waiting for the others" in capsys.readouterr().err
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_more_processes_than_examples_are_refused():
    with pytest.raises(ConfigError, match="4 processes for the 3 examples of a step"):
        Ranks(3, 4).share((torch.zeros(3),))


def test_every_example_is_of_one_process_and_the_mean_of_the_parts_is_that_of_all():
    values = torch.arange(7.0)
    shares = [values[Ranks(rank, 3).own] for rank in range(3)]
    assert torch.cat(shares).sort().values.equal(values)
    parts = [Ranks(rank, 3).part(own.mean(), len(own), 7) for rank, own in enumerate(shares)]
    assert sum(parts) / 3 == pytest.approx(3.0)
    assert ONE.averages(torch.tensor(2.5), torch.tensor(1.0)) == (2.5, 1.0)

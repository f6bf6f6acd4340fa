"""Training the prior: examples that follow from the seed, a few steps, and the same after an interruption."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from oddwave.lab.prior import examples, train
from oddwave.lab.prior.examples import LENGTH, step_examples
from oddwave.scoring import prior
from oddwave.scoring.retrieval import NUM_EVIDENCE


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few windows, a small network, and steps drawn in this process."""
    monkeypatch.setattr(examples, "_WINDOWS", 6)
    monkeypatch.setattr(examples, "_SOURCES", 2)
    monkeypatch.setattr(prior, "_NETWORK", {"base_channels": 8, "channel_mult": (1, 2), "max_tokens": 64})
    monkeypatch.setattr(train, "_VALIDATION_STEPS", 2)
    monkeypatch.setattr(train, "_SAVE_EVERY", 1)


def test_a_steps_examples_follow_from_seed_and_step():
    for step in range(6):
        first, again = step_examples(3, step), step_examples(3, step)
        assert len(first) == 2
        for one, same in zip(first, again, strict=True):
            for name in ("x", "clean", "changed", "known"):
                assert getattr(one, name).equal(getattr(same, name)), name
            num, channels = one.x.shape[:2]
            assert one.x.shape == (num, channels, NUM_EVIDENCE, LENGTH)
            assert one.clean.shape == one.changed.shape == one.known.shape == (num, channels, LENGTH)
            assert torch.isfinite(one.x).all()
            assert torch.isfinite(one.clean).all()
    other = step_examples(4, 0)[0].x
    assert other.shape != step_examples(3, 0)[0].x.shape or not other.equal(step_examples(3, 0)[0].x)


def test_an_unchanged_point_of_a_known_window_is_what_is_seen():
    """The first channel of evidence is the window in the units of the target."""
    same, changed = [], []
    for step in range(12):
        for own in step_examples(0, step):
            away = (own.x[:, :, 0] - own.clean).abs()
            same.append(away[own.known & ~own.changed.any(2, keepdim=True)].ravel())
            changed.append(away[own.known & own.changed].ravel())
    same, changed = torch.cat(same), torch.cat(changed)
    assert (same < 1e-4).float().mean() > 0.9  # the rest: windows of which less than a third of a point was changed
    assert (changed > 1e-4).float().mean() > 0.9
    assert len(changed) > 100


def told(out, *, num_steps, stop=None):
    """Train; with `stop`, be interrupted after so many reports."""
    training, found = train.train_prior(out, num_steps=num_steps), []
    for step in training:
        found.append({name: value for name, value in step.items() if name != "cpu_s"})
        if len(found) == stop:
            training.close()
            break
    return found


@pytest.mark.slow
def test_resumed_training_is_the_same_as_uninterrupted(tmp_path):
    whole = told(tmp_path / "whole.safetensors", num_steps=3)
    assert [own["step"] for own in whole] == [1, 2, 3]
    assert all(np.isfinite(list(own.values())).all() for own in whole)
    first = told(tmp_path / "parts.safetensors", num_steps=3, stop=1)
    rest = told(tmp_path / "parts.safetensors", num_steps=3)
    assert first + rest == whole
    one, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "parts"))
    assert all(one[name].equal(other[name]) for name in one)
    network = prior.Prior()
    network.load_state_dict({name: weight.float() for name, weight in one.items()})
    assert told(tmp_path / "parts.safetensors", num_steps=3) == []  # there is nothing left to do


def test_the_command_prints_a_line_of_json(tmp_path, capsys):
    threads = torch.get_num_threads()
    train.main(["-o", str(tmp_path / "new" / "prior.safetensors"), "--steps", "2", "--seed", "1"])
    torch.set_num_threads(threads)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert {"bce", "nll", "point_auroc", "window_auroc", "distance_auroc", "cpu_s"} <= set(lines[-1])
    assert (tmp_path / "new" / "prior.safetensors").stat().st_size < 2e6

"""The scorer of one window size, and the engine's choices: terms, memory spaces, levels, weights, sizes."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detection.series import representation_choice
from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.plan import WindowPlan, plan_windows
from oddwave.detection.series.streams import Stream, cut_streams
from oddwave.detection.series.terms import WindowScorer
from oddwave.errors import DataError
from oddwave.tensors.representation import Representation


def as_stream(values, group=0, breaks=()):
    return Stream(f"s{group}", group, values.astype(np.float32), np.ones(values.shape, bool), breaks)


@pytest.fixture(scope="module")
def engine(tiny_config, waves):
    streams = [as_stream(waves(200, channels=2))]
    config = tiny_config(
        "series.window_sizes=[16, 20]",
        "series.scaling=window",
        "scoring.memory_size=32",
        'scoring.memory_spaces=["input", "feature", "statistics"]',
        "scoring.noise_levels=[0.15, 0.5]",
    )
    engine = DenoiserModel.build(config, plan_windows(streams, config, panel=False, held_back=0.0), 2)
    engine.fit(streams, None)
    return engine


def test_every_term_has_one_row_per_window(engine, waves):
    scorer, cut = engine.scorers[0], cut_streams([as_stream(waves(100, channels=2, seed=1))], 16, 4)
    found = engine.scorers[0].terms(cut, scorer.denoise(cut.windows), self_join=False)
    assert set(found.terms) == {"recon", "feature", "memory.input", "memory.feature", "memory.statistics"}
    for name, values in found.terms.items():
        assert len(values) == len(cut), name
        assert np.isfinite(values).all(), name
    assert found.error_map.shape == (len(cut), 16)
    assert set(scorer.groups(found.terms)) == {"recon", "feature", "memory"}


def test_a_remembered_window_finds_itself_unless_it_is_told_not_to(tiny_config, waves):
    cut = cut_streams([as_stream(waves(80))], 16, 4)
    engine = DenoiserModel.build(tiny_config(), WindowPlan((16,), (4,), 16, 16, False, {}), 1)
    scorer = engine.scorers[0]
    denoised = scorer.denoise(cut.windows)
    scorer.fit_memory(cut, denoised, ("input",))
    scorer.memories["input"] = replace(scorer.memories["input"], num_neighbors=1)
    itself, others = (scorer.terms(cut, denoised, self_join=join).terms["memory.input"] for join in (False, True))
    assert itself.max() < 0.01
    assert others.min() > 0.05


@pytest.mark.parametrize("space", ["input", "feature", "complex", "mexican_hat", "log_magnitude", "statistics"])
def test_every_memory_space_describes_a_window_by_one_vector(tiny_config, waves, space):
    engine = DenoiserModel.build(tiny_config(), WindowPlan((16,), (4,), 16, 16, False, {}), 2)
    scorer, cut = engine.scorers[0], cut_streams([as_stream(waves(60, channels=2))], 16, 4)
    scorer.fit_memory(cut, scorer.denoise(cut.windows), (space,))
    vectors = scorer.memories[space].vectors
    assert vectors.shape[0] == len(cut)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert set(scorer.to_arrays("m.0")) == {
        f"m.0.{space}.{p}" for p in ("vectors", "groups", "starts", "center", "scale", "weights")
    }


@pytest.mark.parametrize("local", [True, False])
def test_distances_are_scaled_locally_unless_told_not_to(tiny_config, waves, local):
    config = tiny_config(f"scoring.local_scaling={str(local).lower()}")
    engine = DenoiserModel.build(config, WindowPlan((16,), (4,), 16, 16, False, {}), 1)
    scorer, cut = engine.scorers[0], cut_streams([as_stream(waves(200))], 16, 4)
    scorer.fit_memory(cut, scorer.denoise(cut.windows), ("input",))
    weights = scorer.memories["input"].weights
    assert bool(np.ptp(weights) > 0.01) == local
    assert np.median(weights) == pytest.approx(1.0, abs=0.01)


def test_a_long_window_is_pooled_for_the_input_space():
    scorer = WindowScorer(Representation("window", 64, 1, 16), preset("fast"), None, None, (0.5,))
    cut = cut_streams([as_stream(np.arange(200.0)[:, None])], 64, 16)
    assert scorer._vectors("input", cut.windows).shape == (len(cut), 16)


def test_the_memory_is_bounded(engine):
    assert all(len(m.vectors) <= 32 for scorer in engine.scorers for m in scorer.memories.values())


def test_normal_windows_score_alike_at_every_window_size(engine, waves):
    for scorer, stride in zip(engine.scorers, engine.plan.strides, strict=True):
        cut = cut_streams([as_stream(waves(200, channels=2))], scorer.window_size, stride)  # the very windows learnt
        terms = scorer.terms(cut, scorer.denoise(cut.windows), self_join=True).terms
        own = scorer.standardised_score(engine.fusion.score(scorer.groups(terms)))
        assert np.median(own) == pytest.approx(0.0, abs=1e-4)
        assert np.subtract(*np.quantile(own, [0.75, 0.25])) == pytest.approx(1.349, rel=1e-3)


def test_choices_are_told_as_evidence(engine):
    assert engine.evidence["training"]["num_steps"] == 5
    levels = engine.evidence["noise_levels"]
    assert set(levels["chosen"]) <= {0.15, 0.5}
    assert set(levels["synthetic_auroc"]) == {"0.15", "0.5"}
    assert all(scorer.noise_levels == tuple(levels["chosen"]) for scorer in engine.scorers)
    weights = engine.evidence["weights"]
    assert engine.fusion.reconstruction_weight == weights["reconstruction_weight"]
    assert engine.fusion.memory_weight == weights["memory_weight"]
    assert len(weights["kind_auroc"]) >= 5


def test_a_networks_first_weights_follow_from_the_seed(tiny_config):
    plan = WindowPlan((16,), (4,), 16, 16, False, {})
    same, again, other = (DenoiserModel.build(tiny_config(f"seed={s}"), plan, 1).net.state_dict() for s in (3, 3, 4))
    assert all(same[name].equal(again[name]) for name in same)
    assert not all(same[name].equal(other[name]) for name in same)


def test_sizes_that_no_stretch_has_room_for_are_given_up(tiny_config, waves):
    stream = as_stream(waves(200), breaks=tuple(range(30, 200, 30)))
    config = tiny_config("series.window_sizes=[16, 40]")
    engine = DenoiserModel.build(config, plan_windows([stream], config, panel=False, held_back=0.0), 1)
    (scored,) = engine.fit([stream], None)
    assert engine.plan.sizes == (16,)
    assert len(engine.scorers) == len(engine.plan.strides) == 1
    assert np.isfinite(scored.scores[:180]).all()
    assert np.isnan(scored.scores[180:]).sum() == 0  # the last stretch has 20 points


def test_too_many_gaps_are_refused_in_one_line(tiny_config, waves):
    stream = as_stream(waves(200), breaks=tuple(range(10, 200, 10)))
    config = tiny_config()
    engine = DenoiserModel.build(config, plan_windows([stream], config, panel=False, held_back=0.0), 1)
    with pytest.raises(DataError, match="no stretch of 16 points without a gap"):
        engine.fit([stream], None)


def test_an_automatic_representation_keeps_windows_unless_another_is_clearly_better(tiny_config, waves, monkeypatch):
    class Judged:
        values: ClassVar[dict] = {}

        def __init__(self, kind):
            self.evidence = {"weights": {"term_auroc": {"recon": self.values[kind]}}}

        @classmethod
        def build(cls, config, plan, n_channels):
            return cls(config.series.representation)

        def fit(self, streams, reference, job):
            if self.evidence["weights"]["term_auroc"]["recon"] is None:
                raise DataError("not this one")

    monkeypatch.setattr(representation_choice, "DenoiserModel", Judged)
    streams = [as_stream(waves(400))]
    config = tiny_config("series.window_sizes=[16, 40]", "series.representation=auto")
    plan = plan_windows(streams, config, panel=False, held_back=0.0)

    def choose(window, scalogram, folded):
        Judged.values = {"window": window, "scalogram": scalogram, "folded": folded}
        return representation_choice.choose_representation(config, plan, streams, 1, False)

    chosen, own_plan, evidence = choose(0.80, 0.805, 0.81)
    assert chosen.series.representation == evidence["chosen"] == "window"
    assert own_plan is plan
    chosen, own_plan, _ = choose(0.80, 0.81, 0.95)
    assert chosen.series.representation == "folded"
    assert chosen.training.num_steps == 5
    assert own_plan.sizes == (32,)  # two whole periods of 16
    chosen, _, evidence = choose(0.80, None, 0.5)
    assert chosen.series.representation == "window"
    assert evidence["skipped"] == {"scalogram": "not this one"}
    with pytest.raises(DataError, match="not this one"):
        choose(None, 0.9, 0.9)

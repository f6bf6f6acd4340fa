"""The shard plan without Ray: cut, kept, compared; what is missing; shards merged in order, each item once."""

import json

import numpy as np
import pytest

from oddwave.dist.merge import Tally
from oddwave.dist.plan import ShardPlan, check_same, cut, kept_plan, missing, write_plan
from oddwave.errors import CheckpointError, ConfigError
from oddwave.files import folder_kind, require_own

RUN = {"model": {"files": {"m": "ab"}}, "input": {"items": 7}, "asked": {}, "reading": {}, "oddwave_version": "0"}


def plan(pieces=(7,), size=3):
    return ShardPlan(RUN, size, cut(pieces, size))


def rows(numbers, scores, labels=None, names=None):
    scores = np.array(scores, float)
    labels = np.where(np.isnan(scores), -1, scores > 5) if labels is None else np.array(labels)
    return {
        "number": np.array(numbers),
        "item": np.array(names or [f"i{number}" for number in numbers]),
        "score": scores,
        "label": labels,
        "events": (labels == 1).astype(int),
        "reason": np.where(labels == -1, "is empty", ""),
    }


@pytest.mark.parametrize(
    ("pieces", "size", "counts"),
    [((7,), 3, [2, 2, 3]), ((6,), 3, [3, 3]), ((2, 5), 3, [2, 2, 3]), ((1,), 9, [1]), ((0, 4), 2, [2, 2])],
)
def test_shards_cover_all_items_once_and_cross_no_piece(pieces, size, counts) -> None:
    found = cut(pieces, size)
    assert [count for _, count in found] == counts
    assert [n for first, count in found for n in range(first, first + count)] == list(range(sum(pieces)))
    ends = {first + count for first, count in found}
    assert set(np.cumsum(pieces)) - {0} <= ends


@pytest.mark.parametrize("size", [0, -1, True, 2.5])
def test_sizes_that_are_none_are_refused(size) -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        cut([5], size)


def test_plan_is_kept_and_read_back(tmp_path) -> None:
    assert kept_plan(tmp_path) is None
    write_plan(plan(), tmp_path)
    assert kept_plan(tmp_path) == plan()
    assert missing(plan(), [1]) == [0, 2]
    assert folder_kind(tmp_path) == "shards"
    require_own(tmp_path, "shards")
    for other in ("results", "model"):
        with pytest.raises(CheckpointError, match="in shards"):
            require_own(tmp_path, other)


@pytest.mark.parametrize("change", [{"shards": [[0, 7]]}, {"shards": [[0, 3], [4, 3]]}, {"run": {}}, {"digest": "x"}])
def test_a_plan_that_was_touched_is_refused(tmp_path, change) -> None:
    write_plan(plan(), tmp_path)
    path = tmp_path / "shards" / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match="damaged"):
        kept_plan(tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [("model", "another model"), ("input", "other data"), ("asked", "another alpha"), ("reading", "way")],
)
def test_another_runs_shards_are_refused(tmp_path, name, told) -> None:
    with pytest.raises(CheckpointError, match=told):
        check_same(plan(), {**RUN, name: {"other": 1}}, None, tmp_path)
    check_same(plan(), RUN, None, tmp_path)
    check_same(plan(), RUN, 3, tmp_path)
    with pytest.raises(CheckpointError, match="shards of 3 items"):
        check_same(plan(), RUN, 4, tmp_path)


def test_tally_counts_and_tells_the_strongest_in_order() -> None:
    tally = Tally(plan(), most=2, most_unjudged=1)
    tally.add(0, rows([0, 1], [1.0, 9.0]))
    tally.add(1, rows([2, 3], [np.nan, 2.0]))
    tally.add(2, rows([4, 4, 5, 6], [7.0, 3.0, 8.0, np.nan], names=["a/l", "a/r", "b", "c"]))
    whole = tally.whole
    assert (whole.items, whole.flagged, whole.failed, whole.scores, whole.scored) == (8, 3, 2, 8, 6)
    assert tally.told == [1, 2, 5]
    assert tally.first_reason == "is empty"


def test_all_are_told_where_they_are_few() -> None:
    tally = Tally(plan(), most=7)
    assert tally.told == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("numbers", [[0, 0], [1, 0], [0], [0, 1, 2], [0, 2], []])
def test_items_that_are_missing_twice_or_out_of_order_are_seen(numbers) -> None:
    with pytest.raises(CheckpointError, match="each once"):
        Tally(plan(), 3).add(0, rows(numbers, [0.0] * len(numbers)))


def test_shards_that_are_missing_or_twice_are_seen() -> None:
    tally = Tally(plan(), 3)
    tally.add(0, rows([0, 1], [0, 0]))
    with pytest.raises(CheckpointError, match="in no shard"):
        _ = tally.whole
    for shard, numbers in ((0, [0, 1]), (2, [4, 5, 6])):
        with pytest.raises(CheckpointError, match="each once"):
            tally.add(shard, rows(numbers, [0] * len(numbers)))

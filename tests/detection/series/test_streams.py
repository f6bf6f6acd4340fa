"""Streams, the windows cut from them, and the way back to points."""

import numpy as np

from oddwave.detection.series.streams import Stream, cut_streams, points_from_windows


def stream(n=20, group=0, breaks=(), offset=0, missing=(), channels=1):
    values = (np.arange(n)[:, None] + 100.0 * group + np.arange(channels) * 0.5).astype(np.float32)
    known = np.ones((n, channels), bool)
    known[list(missing)] = False
    return Stream(f"s{group}", group, values, known, breaks, offset)


def test_a_part_knows_its_place_and_its_own_breaks():
    part = stream(breaks=(5, 10, 15), offset=3, missing=(11,)).part(5, 16)
    assert (len(part), part.offset, part.breaks) == (11, 8, (5, 10))
    np.testing.assert_array_equal(part.values[:, 0], np.arange(5, 16))
    assert np.flatnonzero(~part.known.any(1)).tolist() == [6]


def test_stretches_lie_between_breaks():
    assert stream().stretches() == [(0, 20)]
    assert stream(breaks=(5, 12)).stretches() == [(0, 5), (5, 12), (12, 20)]


def test_windows_hold_the_values_at_their_places():
    cut = cut_streams([stream(channels=2), stream(9, group=1, offset=50, channels=2)], 8, 4)
    assert cut.windows.shape == (len(cut), 2, 8) == (6, 2, 8)
    assert cut.windows.dtype == np.float32
    np.testing.assert_array_equal(cut.stream, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(cut.local_starts, [0, 4, 8, 12, 0, 1])
    np.testing.assert_array_equal(cut.starts, [0, 4, 8, 12, 50, 51])
    np.testing.assert_array_equal(cut.windows[:, 0, 0], [0, 4, 8, 12, 100, 101])
    np.testing.assert_array_equal(cut.windows[5, 1], np.arange(101, 109) + 0.5)


def test_no_window_spans_a_break_and_short_stretches_yield_none():
    cut = cut_streams([stream(30, breaks=(10, 14, 22))], 8, 3)
    np.testing.assert_array_equal(cut.starts, [0, 2, 14, 22])
    assert not len(cut_streams([stream(30, breaks=(7, 14, 21, 28))], 8, 3))


def test_windows_mostly_made_of_filled_points_are_left_out():
    cut = cut_streams([stream(24, missing=range(8, 13))], 8, 1)
    filled = [np.isin(np.arange(s, s + 8), range(8, 13)).sum() for s in cut.starts]
    assert max(filled) == 4
    assert len(cut) == 17 - 4


def test_a_stride_wider_than_the_window_still_covers_every_point():
    cut = cut_streams([stream(30)], 4, 10)
    covered = {p for s in cut.starts for p in range(s, s + 4)}
    assert covered == set(range(30))


def test_without_a_window_there_are_empty_arrays_of_the_right_shape():
    cut = cut_streams([stream(5, channels=3)], 8, 1)
    assert cut.windows.shape == (0, 3, 8)
    (points,) = points_from_windows(np.zeros(0), cut, [stream(5, channels=3)], 8)
    assert np.isnan(points).all()
    assert points.shape == (5,)


def test_taking_joining_and_refilling_keep_the_places():
    first, second = cut_streams([stream()], 8, 4), cut_streams([stream(12, group=2, offset=7)], 8, 4)
    both = first.joined(second)
    assert len(both) == len(first) + len(second)
    np.testing.assert_array_equal(both.groups, [0] * len(first) + [2] * len(second))
    np.testing.assert_array_equal(both.starts[-len(second) :], second.starts)
    taken = both.take(np.array([4, 0]))
    np.testing.assert_array_equal(taken.starts, [7, 0])
    np.testing.assert_array_equal(taken.windows[1], first.windows[0])
    other = first.with_windows(first.windows + 1)
    np.testing.assert_array_equal(other.local_starts, first.local_starts)
    np.testing.assert_array_equal(other.windows, first.windows + 1)


def test_points_get_their_windows_scores_stream_by_stream():
    streams = [stream(10), stream(4, group=1), stream(12, group=2, breaks=(5,))]
    cut = cut_streams(streams, 6, 4)
    np.testing.assert_array_equal(cut.stream, [0, 0, 2, 2])
    first, short, broken = points_from_windows(np.array([1.0, 3.0, 7.0, 9.0]), cut, streams, 6)
    np.testing.assert_array_equal(first[[0, 1, 2, 3, 6, 7, 8, 9]], [1, 1, 1, 1, 3, 3, 3, 3])
    assert 1 < first[4] <= first[5] < 3  # both windows cover these
    assert np.isnan(short).all()
    assert np.isnan(broken[:5]).all()
    assert broken[5] == 7
    assert ((broken[6:11] > 7) & (broken[6:11] < 9)).all()
    assert broken[11] == 9


def test_the_order_of_the_windows_does_not_matter_between_streams():
    streams = [stream(16), stream(16, group=1)]
    cut = cut_streams(streams, 8, 4)
    scores = np.arange(len(cut), dtype=float)
    swapped = np.concatenate([np.flatnonzero(cut.stream == 1), np.flatnonzero(cut.stream == 0)])
    expected = points_from_windows(scores, cut, streams, 8)
    for a, b in zip(points_from_windows(scores[swapped], cut.take(swapped), streams, 8), expected, strict=True):
        np.testing.assert_array_equal(a, b)

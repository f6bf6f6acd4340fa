"""The profile: time goes to the function of oddwave that spent it, whatever it called."""

import pytest

from oddwave.lab.studies.profile import profiled, table_of, work

CODE = """
def slow():
    return sorted(range(400_000, 0, -1), key=abs)

def quick():
    return sorted([2, 1])

def both():
    quick()
    return slow()
"""


def test_what_others_spend_counts_for_who_called_them():
    room: dict = {}
    exec(compile(CODE, "/somewhere/oddwave/room/part.py", "exec"), room)
    seconds, shares = profiled(room["both"])
    assert seconds > 0.0
    assert shares["room/part: slow"] > 0.9
    assert sum(shares.values()) == pytest.approx(1.0)
    assert table_of("both", seconds, shares, 1).splitlines()[-1].endswith("| `room/part: slow` |")


def test_the_work_is_generated_and_the_same_each_time():
    one, other = work("series", 300), work("series", 300)
    assert (one.train == other.train).all()
    assert one.query.shape == (60, 2)
    with pytest.raises(ValueError, match="choose series, image, audio"):
        work("smell")

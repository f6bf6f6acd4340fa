"""Reading ahead: order, what is raised and when, how much is read before it is asked for."""

import threading
import time

import pytest

from oddwave.ahead import read_ahead


def test_items_come_in_order_with_what_was_read():
    assert list(read_ahead(range(7), lambda n: n * n)) == [(n, n * n) for n in range(7)]
    assert list(read_ahead([], str)) == []


def test_what_is_raised_is_raised_in_its_turn():
    going = read_ahead([2, 1, 0, 5], lambda n: 1 / n)
    assert [next(going), next(going)] == [(2, 0.5), (1, 1.0)]
    with pytest.raises(ZeroDivisionError):
        next(going)


def test_no_more_than_two_are_read_ahead_and_in_another_thread():
    read, threads = [], set()

    def slow(item):
        threads.add(threading.get_ident())
        read.append(item)
        return item

    going = read_ahead(range(50), slow)
    assert next(going)[0] == 0
    time.sleep(0.05)
    assert len(read) <= 3
    going.close()
    time.sleep(0.05)
    assert len(read) <= 3
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_reading_goes_on_while_the_consumer_computes():
    began = time.monotonic()
    for _ in read_ahead(range(8), lambda _: time.sleep(0.05)):
        time.sleep(0.05)
    assert time.monotonic() - began < 0.7  # one after another: 0.8

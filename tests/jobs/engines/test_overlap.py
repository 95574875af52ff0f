"""What a worker may have in progress at once."""

from __future__ import annotations

from vidsr.jobs.engines.overlap import Load
from vidsr.jobs.messages import Dropped, Failed, Order, Read
from vidsr.jobs.state.segments import Segment


def order(number: int) -> Order:
    return Order(segment=Segment(number=number, start=number, stop=number + 1))


def test_the_second_segment_joins_when_the_first_is_decoded() -> None:
    load = Load()
    assert load.has_room() and not load.busy()
    load.take(order(0))
    assert load.busy() and not load.has_room()
    load.follow(Read(number=0))
    assert load.has_room()
    load.take(order(1))
    load.follow(Read(number=1))
    assert not load.has_room(), "never three"
    load.follow(Dropped(number=0))
    assert load.has_room()
    load.follow(Failed(number=1, kind="JobError", message="m"))
    assert not load.busy()


def test_a_segment_made_alone_is_joined_by_none() -> None:
    load = Load()
    load.take(order(0), alone=True)
    load.follow(Read(number=0))
    assert not load.has_room()
    assert load.clear() == [order(0)]
    load.take(order(1))
    load.follow(Read(number=1))
    assert load.has_room()
    load.take(order(2))
    assert load.clear() == [order(1), order(2)], "the oldest first"
    assert not load.busy()

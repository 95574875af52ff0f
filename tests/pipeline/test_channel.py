"""The channel: order, bound, close, abort, and that errors cross it."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import processes
from vidsr.pipeline.channel import Channel, ChannelAborted


@given(items=st.lists(st.integers()), capacity=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_everything_sent_arrives_once_and_in_order(items: list[int], capacity: int) -> None:
    channel: Channel[int] = Channel(capacity)

    def send() -> None:
        for item in items:
            channel.send(item)
        channel.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert list(channel) == items
    processes.join(thread)


def test_never_holds_more_than_its_capacity() -> None:
    channel: Channel[int] = Channel(2)
    sent: list[int] = []

    def send() -> None:
        for item in range(10):
            channel.send(item)
            sent.append(item)
        channel.close()

    thread = threading.Thread(target=send)
    thread.start()
    received = 0
    for _ in channel:
        received += 1
        time.sleep(0.005)
        # the item in hand, two inside, and one that may have been taken in while we looked
        assert len(sent) <= received + 3
    processes.join(thread)
    assert received == 10
    assert channel.send_wait_seconds > 0


def test_abort_wakes_a_waiting_sender_and_a_waiting_receiver() -> None:
    full: Channel[int] = Channel(1)
    full.send(1)
    empty: Channel[int] = Channel(1)
    caught: list[BaseException] = []

    def wait_to_send() -> None:
        try:
            full.send(2)
        except ChannelAborted as error:
            caught.append(error)

    def wait_to_receive() -> None:
        try:
            list(empty)
        except ChannelAborted as error:
            caught.append(error)

    threads = [threading.Thread(target=wait_to_send), threading.Thread(target=wait_to_receive)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    cause = RuntimeError("the other side failed")
    full.abort(cause)
    empty.abort(cause)
    for thread in threads:
        thread.join(timeout=5)
    assert [error.__cause__ for error in caught] == [cause, cause]


def test_the_first_error_of_an_aborted_channel_is_kept_and_its_items_are_dropped() -> None:
    """The first error is the cause; later ones follow from it."""
    channel: Channel[int] = Channel(3)
    channel.send(1)
    first = RuntimeError("the cause")
    channel.abort(first)
    channel.abort(RuntimeError("a consequence"))
    with pytest.raises(ChannelAborted) as caught:
        list(channel)
    assert caught.value.__cause__ is first


def test_what_was_sent_before_close_is_still_received() -> None:
    channel: Channel[int] = Channel(3)
    channel.send(1)
    channel.send(2)
    channel.close()
    assert list(channel) == [1, 2]
    with pytest.raises(ValueError, match="closed"):
        channel.send(3)


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Channel(0)

"""The offset tracker, against its definition.

Never commit past an unfinished event; never lose a finished one for ever; never commit in a
partition that is not ours.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from consumer.offsets import WINDOW, OffsetTracker, PartitionOffsets, decode, encode
from consumer.work import Partition, Ticket

HERE = Partition("video.uploads", 0)
KAFKA_BOUND = 4096


def offsets_at(committed: int, *received: int) -> PartitionOffsets:
    """A partition committed at ``committed``, with events received."""
    made = PartitionOffsets(committed)
    for offset in received:
        assert made.receive(offset)
    return made


def test_the_position_waits_for_the_first_unfinished_event() -> None:
    offsets = offsets_at(10, 10, 11, 12)
    offsets.finish(11)
    offsets.finish(12)
    assert offsets.position == 10
    offsets.finish(10)
    assert offsets.position == 13


def test_offsets_without_a_message_are_not_waited_for() -> None:
    offsets = offsets_at(10, 10, 15, 40)
    offsets.finish(15)
    offsets.finish(10)
    assert offsets.position == 40
    offsets.finish(40)
    assert offsets.position == 41


def test_a_successor_skips_what_was_finished_beyond_the_commit() -> None:
    first = offsets_at(10, 10, 11, 12, 13)
    first.finish(11)
    first.finish(13)
    committed = first.commit()
    assert committed is not None
    position, metadata = committed
    second = PartitionOffsets(position, decode(position, metadata))
    assert [second.receive(offset) for offset in (10, 11, 12, 13, 14)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    second.finish(10)
    assert second.position == 12


def test_a_message_that_comes_twice_is_taken_once() -> None:
    offsets = offsets_at(10, 10, 11)
    assert not offsets.receive(10)
    assert not offsets.receive(11)


def test_crashes_are_carried_to_the_successor() -> None:
    first = offsets_at(10, 10, 11)
    assert first.crashed(11) == 1
    assert first.crashed(11) == 2
    committed = first.commit()
    assert committed is not None
    second = PartitionOffsets(committed[0], decode(*committed))
    assert (second.crashes(10), second.crashes(11)) == (0, 2)
    assert second.crashed(11) == 3


def test_finished_events_carry_no_crashes() -> None:
    offsets = offsets_at(10, 10, 11)
    offsets.crashed(11)
    offsets.finish(11)
    assert '"crashes"' not in (offsets.commit() or (0, ""))[1]


@given(st.sets(st.integers(0, WINDOW - 1), max_size=200), st.integers(0, 1 << 50))
def test_metadata_round_trip(ahead: set[int], position: int) -> None:
    finished = {position + delta for delta in ahead}
    crashes = {position + 3: 2, position + 99: 1}
    found = decode(position, encode(position, finished, crashes))
    assert found.finished == finished
    assert found.crashes == crashes


def test_metadata_stays_within_kafkas_bound_at_its_worst() -> None:
    """Random bits don't compress, and as many crashes as are kept."""
    noise = random.Random(0)
    finished = [offset for offset in range(WINDOW) if noise.random() < 0.5]
    crashes = {WINDOW - 1 - i: 99 for i in range(500)}
    assert len(encode(0, finished, crashes).encode()) < KAFKA_BOUND


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_somebody_elses_metadata_says_nothing(text: str) -> None:
    assert decode(5, text).finished == frozenset()


def test_a_bomb_in_the_metadata_is_not_unpacked() -> None:
    assert len(encode(0, [8 * 1024 * 1024 * 64], {})) > 1000
    assert len(decode(0, encode(0, [8 * 1024 * 1024 * 64], {})).finished) == 0


def test_an_event_beyond_the_window_must_wait() -> None:
    offsets = offsets_at(0, 0, 1)
    assert offsets.fits(WINDOW - 1)
    assert not offsets.fits(WINDOW)
    offsets.finish(0)
    assert offsets.fits(WINDOW)


class TrackerMachine(RuleBasedStateMachine):
    """One partition's log, read by one owner after the other; the broker keeps the last commit."""

    def __init__(self) -> None:
        super().__init__()
        self.log = [offset for offset in range(5, 400) if offset % 7 not in (0, 3)]
        self.tracker = OffsetTracker()
        self.broker: tuple[int | None, str] = (None, "")
        self.finished: set[int] = set()  # by an owner at the time: what was published
        self.safe: set[int] = set()  # finished when the broker last took a commit
        self.next = 0
        self.tickets: list[Ticket] = []
        self.old: list[Ticket] = []
        self.owned = False

    @precondition(lambda self: not self.owned)
    @rule()
    def assign(self) -> None:
        committed, metadata = self.broker
        self.tracker.open(HERE, committed, metadata)
        start = self.log[0] if committed is None else committed
        self.next = next(i for i, offset in enumerate(self.log) if offset >= start)
        self.finished = set(self.safe)
        self.owned = True

    @precondition(lambda self: self.owned)
    @rule(count=st.integers(1, 8))
    def receive(self, count: int) -> None:
        for _ in range(count):
            if self.next >= len(self.log) - 1:
                return
            offset = self.log[self.next]
            self.next += 1
            epoch = self.tracker.epoch(HERE)
            assert epoch is not None
            needs_work = self.tracker.offsets(HERE).receive(offset)
            assert needs_work == (offset not in self.finished)
            if needs_work:
                self.tickets.append(Ticket(HERE, epoch, offset))

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        ticket = self.tickets.pop(data.draw(st.integers(0, len(self.tickets) - 1)))
        assert self.tracker.finish(ticket)
        self.finished.add(ticket.offset)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def finish_too_late(self, data: st.DataObject) -> None:
        before = self.tracker.commits()
        assert not self.tracker.finish(data.draw(st.sampled_from(self.old)))
        assert self.tracker.commits() == before

    @rule(arrives=st.booleans())
    def commit(self, arrives: bool) -> None:
        commits = self.tracker.commits()
        if not self.owned:
            assert not commits
        for commit in commits:
            assert self.tracker.epoch(commit.partition) == commit.epoch
            assert all(o in self.finished for o in self.log if o < commit.offset)
            if arrives:
                self.broker = commit.offset, commit.metadata
                self.safe = set(self.finished)
                self.tracker.confirm([commit])
        if arrives:
            assert not self.tracker.commits()

    @precondition(lambda self: self.owned)
    @rule()
    def lose(self) -> None:
        """Revoked, lost or killed: the next owner knows the broker's commit alone."""
        self.tracker.close(HERE)
        self.old += self.tickets
        self.tickets = []
        self.owned = False

    @precondition(lambda self: self.owned and self.next > 0)
    @rule()
    def finish_all(self) -> None:
        """Nothing finished is lost for ever: when all is done, all is committed."""
        while self.tickets:
            ticket = self.tickets.pop()
            self.tracker.finish(ticket)
            self.finished.add(ticket.offset)
        self.commit(arrives=True)
        read_to = self.log[self.next - 1] + 1
        assert self.broker[0] is not None
        assert self.broker[0] >= read_to
        assert self.finished >= set(self.log[: self.next])


TrackerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestTracker = TrackerMachine.TestCase

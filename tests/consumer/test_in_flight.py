"""Between receipt and settlement: lanes, retries and the tracker behind one lock."""

from __future__ import annotations

from consumer.in_flight import Bounds, InFlight, Receipt
from consumer.metrics import Metrics
from consumer.offsets import WINDOW
from consumer.work import Partition, Source, Work

HERE = Partition("video.uploads", 0)
BESIDE = Partition("video.uploads.replay", 0)


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock | None = None) -> InFlight:
    """One partition of ours, committed at 0."""
    made = InFlight(Bounds(events=4, bytes=1000, retries=2), clock or Clock())
    made.open(HERE, 0, None)
    return made


def receive(flight: InFlight, offset: int, key: bytes = b"v", where: Partition = HERE) -> Receipt:
    """One message."""
    return flight.receive(where, offset, key, b"x" * 9, Source(HERE, offset))


def take(flight: InFlight) -> Work:
    """The next work that may be done; started."""
    work = flight.ready.get_nowait()
    assert work is not None
    assert flight.start(work)
    return work


def test_what_is_settled_is_committed_and_frees_its_lane() -> None:
    flight = opened()
    receive(flight, 0)
    receive(flight, 1)
    first = take(flight)
    assert flight.ready.empty()
    flight.settle([first])
    assert [(c.offset, c.metadata) for c in flight.commits()] == [(1, "")]
    flight.confirm(flight.commits())
    assert flight.commits() == []
    assert take(flight).ticket.offset == 1


def test_work_of_an_ended_assignment_has_no_effect() -> None:
    flight = opened()
    receive(flight, 0)
    late = take(flight)
    flight.close([HERE])
    assert receive(flight, 1) is Receipt.FOREIGN
    flight.open(HERE, 0, None)
    receive(flight, 0)
    assert flight.ready.empty()  # the old work still holds the lane: order is kept
    flight.joined(object())
    claim = flight.claim([late])
    assert claim is not None
    assert claim.works == []
    flight.settle([late])
    assert flight.commits() == []
    assert take(flight).ticket.epoch != late.ticket.epoch


def test_a_retry_waits_without_blocking_others_and_keeps_its_lane() -> None:
    clock = Clock()
    flight = opened(clock)
    for offset, key in enumerate([b"a", b"a", b"b"]):
        receive(flight, offset, key)
    flight.retry(take(flight), 5.0)
    assert take(flight).key == b"b"
    assert flight.ready.empty()
    clock.now = 5.0
    flight.tick()
    again = take(flight)
    assert (again.ticket.offset, again.attempts) == (0, 2)


def test_bounds_of_events_bytes_and_retries() -> None:
    clock = Clock()
    flight = opened(clock)
    assert flight.roomy
    for offset in range(4):
        receive(flight, offset, b"%d" % offset)
    assert flight.full
    works = [take(flight) for _ in range(4)]
    flight.settle(works[:3])
    assert flight.roomy
    flight.hold(works[3], 2000)
    assert flight.full
    flight.settle([works[3]])
    assert flight.roomy


def test_retries_are_bounded_by_count_and_never_stop_the_intake() -> None:
    flight = opened()
    for offset in range(2):
        receive(flight, offset, b"%d" % offset)
        assert flight.retry(take(flight), 100.0)
    receive(flight, 2, b"c")
    one_too_many = take(flight)
    assert not flight.retry(one_too_many, 100.0)
    flight.settle([one_too_many])
    assert flight.load().retries == 2
    assert flight.roomy


def test_retries_are_bounded_by_bytes_and_never_stop_the_intake() -> None:
    flight = InFlight(Bounds(events=4, bytes=1000, retries=99), Clock())
    flight.open(HERE, 0, None)
    kept = 0
    for offset in range(99):
        flight.receive(HERE, offset, b"%d" % offset, b"x" * 98, Source(HERE, offset))
        work = take(flight)
        if flight.retry(work, 100.0):
            kept += 1
        else:
            flight.settle([work])
    assert kept == 2  # a quarter of 1,000 bytes
    assert flight.roomy


def test_a_retry_that_is_due_makes_room_for_another() -> None:
    clock = Clock()
    flight = InFlight(Bounds(events=4, bytes=1000, retries=1), clock)
    flight.open(HERE, 0, None)
    for offset in range(2):
        receive(flight, offset, b"%d" % offset)
    assert flight.retry(take(flight), 5.0)
    second = take(flight)
    assert not flight.retry(second, 5.0)
    clock.now = 5.0
    flight.tick()
    assert flight.retry(second, 5.0)


def test_draining_starts_nothing_and_ends_when_what_is_under_way_has_left() -> None:
    flight = opened()
    for offset, key in enumerate([b"a", b"a", b"b"]):
        receive(flight, offset, key)
    under_way = take(flight)
    assert not flight.drain([HERE], 0.01)
    waiting = flight.ready.get_nowait()
    assert waiting is not None
    assert not flight.start(waiting)
    flight.settle([under_way])
    assert flight.drain([HERE], 0.01)
    assert [commit.offset for commit in flight.commits()] == [1]
    assert flight.load().events == 0


def test_what_is_too_far_beyond_the_position_is_offered_again() -> None:
    flight = opened()
    receive(flight, 0)
    assert receive(flight, WINDOW) is Receipt.PARKED
    flight.settle([take(flight)])
    assert receive(flight, WINDOW) is Receipt.TAKEN


def test_crashes_count_across_assignments() -> None:
    flight = opened()
    receive(flight, 0)
    work = take(flight)
    flight.crashed(work)
    flight.crashed(work)
    [commit] = flight.commits()
    successor = InFlight(Bounds(4, 1000, 2))
    successor.open(HERE, commit.offset, commit.metadata)
    receive(successor, 0)
    assert take(successor).crashes == 2


def test_the_partition_beside_comes_and_goes_with_the_uploads() -> None:
    flight = opened()
    epoch, _ = flight.open(HERE, 0, None)
    assert flight.open_beside(BESIDE, HERE, epoch, None, None)
    assert receive(flight, 7, where=BESIDE) is Receipt.TAKEN
    flight.settle([take(flight)])
    assert [commit.partition for commit in flight.commits([HERE])] == [BESIDE]
    flight.close([HERE])
    assert receive(flight, 8, where=BESIDE) is Receipt.FOREIGN
    assert not flight.open_beside(BESIDE, HERE, epoch, None, None)


def test_metric_names() -> None:
    """One prefix, base units, ``_total`` for counters; never a video or a tag as a label."""
    rows = Metrics().table()
    assert len(rows) > 20
    for name, kind, meaning in rows:
        assert name.startswith("reeltag_")
        assert name.endswith("_total") == (kind == "counter")
        assert meaning.endswith(".")
        assert "millisecond" not in name
        assert not name.endswith("_ms")

"""Work done again: replay and the way back from the dead-letter topic, on Apache Kafka."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from consumer.again import Newest
from consumer.letters import Choice, LettersReplayed, figures, list_letters, replay_letters
from consumer.letters import show_letter as show
from consumer.replay import Replayed, replay
from consumer.settings import Settings, load_settings
from consumer.work import Partition
from encoders.errors import KafkaError, SettingError
from tests.delivery import Scene, audit
from tests.light import light_stages

HERE = Partition("video.uploads", 0)


def settings_of(scene: Scene) -> Settings:
    """What a command of this scene is set to."""
    return load_settings(
        None,
        bootstrap_servers=scene.broker.bootstrap,
        group_id=scene.name,
        uploads_topic=scene.uploads,
        tags_topic=scene.tags,
        dlq_topic=scene.dlq,
        replay_topic=scene.replay,
    )


def test_newest_knows_what_came_after() -> None:
    newest = Newest()
    newest.note(HERE, b"v", 3)
    assert not newest.newer(HERE, b"v", 1)  # not ours: nothing is known
    newest.begin(HERE, 10)
    newest.note(HERE, b"v", 12)
    newest.note(HERE, b"v", 11)
    assert newest.newer(HERE, b"v", 11)
    assert not newest.newer(HERE, b"v", 12)
    assert newest.since(HERE) == 10
    newest.reach_back(HERE, 4)
    assert newest.since(HERE) == 4
    newest.end(HERE)
    assert newest.since(HERE) is None


@pytest.mark.kafka
@pytest.mark.parametrize("scene", ["exactly_once"], indirect=True)
def test_replay_asks_for_the_newest_event_of_each_video(scene: Scene) -> None:
    for number in range(20):
        scene.upload(f"v{number}")
    scene.upload("v0")
    scene.upload("v1", event_type="deleted")
    scene.send("junk", b"{", "junk")
    with scene.here():
        scene.wait(60)
    with scene.here(light_stages(generation=2)):
        found = replay(settings_of(scene), start="0")
        scene.upload("v2")
        scene.wait(60)
    assert found == Replayed(asked=19, superseded=1, deleted=2, unreadable=1)
    last = audit(scene).last
    assert last["v0"] == [2, 2]
    assert last["v1"] == "deleted"
    assert last["v2"] == [2, 2]
    assert all(last[f"v{number}"] == [1, 2] for number in range(3, 20))


@pytest.mark.kafka
@pytest.mark.parametrize("scene", ["at_least_once"], indirect=True)
def test_replay_of_named_videos_between_two_offsets(scene: Scene, tmp_path: Path) -> None:
    for number in range(20):
        scene.upload(f"v{number}")
    scene.producer.flush()
    names = tmp_path / "videos.txt"
    names.write_text("v3\nv4\n\n")
    found = replay(settings_of(scene), start="0", end="99999", videos=names, wait=False)
    assert (found.asked, found.others) == (2, 18)
    assert replay(settings_of(scene), start="2000-01-01T00:00:00Z", wait=False).asked == 20
    assert replay(settings_of(scene), start="2100-01-01T00:00:00Z", wait=False) == Replayed()
    for wrong in ("yesterday", "2026-01-01T00:00:00", "-1"):
        with pytest.raises(SettingError, match="--from"):
            replay(settings_of(scene), start=wrong, wait=False)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.parametrize("scene", ["at_least_once"], indirect=True)
def test_a_replay_that_was_stopped_goes_on(scene: Scene) -> None:
    for number in range(1200):
        scene.upload(f"v{number}")
    scene.producer.flush()

    def stop_soon(stage: str, done: int, total: int) -> None:
        if stage == "asking for them" and done > 0:
            scene.wait(60, lambda: any(scene.ends(scene.replay).values()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(settings_of(scene), start="0", told=stop_soon, wait=False)
    found = replay(settings_of(scene), start="0", wait=False)
    assert found.before > 0
    assert found.asked + found.before == 1200
    assert replay(settings_of(scene), start="0", wait=False).asked == 1200  # the next attempt


@pytest.mark.kafka
@pytest.mark.parametrize("scene", ["at_least_once"], indirect=True)
def test_the_replay_topic_must_go_with_the_uploads(scene: Scene) -> None:
    scene.broker.create(scene.replay, partitions=1)
    with pytest.raises(KafkaError, match="give it as many"):
        replay(settings_of(scene), start="0")


@pytest.mark.kafka
@pytest.mark.parametrize("scene", ["exactly_once"], indirect=True)
def test_dead_letters_go_back_once_and_keep_version_and_attempts(scene: Scene) -> None:
    scene.upload("down", "light:down:2")
    scene.upload("gone", "light:missing")
    scene.upload("late", "light:missing")
    scene.upload("late")
    settings = settings_of(scene)
    stages = light_stages()
    with scene.here(stages, retry_attempts=1):
        scene.wait(60)
        before = figures(list_letters(settings))
        assert before == {("fetch", "not_found"): 2, ("fetch", "unavailable"): 1}
        found = replay_letters(settings, Choice(reason="unavailable"))
        assert found == LettersReplayed(
            chosen=1, replayed=1, again=Counter({("fetch", "unavailable"): 1})
        )
        again = replay_letters(settings)
        assert again == LettersReplayed(
            chosen=4,
            replayed=2,
            already=1,
            superseded=1,
            again=Counter({("fetch", "not_found"): 1}),
        )
        last = replay_letters(settings)
        assert (last.chosen, last.replayed, last.already) == (5, 1, 3)
    attempts = sorted(
        letter.why.attempts for letter in list_letters(settings) if letter.key == b"gone"
    )
    assert attempts == [1, 2, 3]
    assert audit(scene).last["down"] == [1, 1]
    [first, *_] = list_letters(settings)
    assert show(settings, first.place) == first
    with pytest.raises(SettingError, match="no dead letter"):
        show(settings, "0:999")


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("scene", "seed"),
    [
        ("exactly_once", 1),
        pytest.param("exactly_once", 2, marks=pytest.mark.slow),
        pytest.param("at_least_once", 1, marks=pytest.mark.slow),
    ],
    indirect=["scene"],
)
def test_all_settles_on_the_newest_with_replay_deletions_and_rebalances_at_once(
    scene: Scene, seed: int
) -> None:
    """The model: a video's last record is its newest event's, or it stays deleted."""
    chance = random.Random(seed)
    model: dict[str, object] = {}
    version: Counter[str] = Counter()

    def upload(video: str) -> None:
        version[video] += 1
        deleted = chance.random() < 0.15
        scene.upload(video, event_type="deleted" if deleted else "updated")
        model[video] = "deleted" if deleted else version[video]

    for _ in range(300):
        upload(f"v{chance.randrange(60)}")
    workers = [scene.worker(REELTAG_TEST_SECONDS="0.01") for _ in range(2)]
    workers[0].wait_ready()
    settings = settings_of(scene)
    for _ in range(4):
        replay(settings, start="0", wait=False)
        for _ in range(100):
            upload(f"v{chance.randrange(60)}")
        scene.producer.flush()
        victim = chance.choice(workers)
        victim.kill() if chance.random() < 0.5 else victim.terminate()
        workers.remove(victim)
        workers.append(scene.worker(REELTAG_TEST_SECONDS="0.01"))
    scene.wait(90)
    replay(settings, start="0")
    for worker in workers:
        assert worker.terminate() == 0
    found = audit(scene)
    assert found.clean
    last = {video: end[0] if isinstance(end, list) else end for video, end in found.last.items()}
    assert last == model

"""The record of an episode: what counts as a trial, and that its message carries all of it."""

import dataclasses

import pytest

from casher_policy.episode import JUDGED, SIDES, Episode, Outcome

EPISODE = Episode(
    episode_id="20251101-120000-3",
    index=3,
    robot="sim",
    kitchen="demo",
    task="put_in_sink",
    object="mug",
    side="left",
    seed=7,
    policy="expert",
    checkpoint_id="",
    calibration_id="demo-simulated-1",
    software="1f2e3d4+dirty",
    horizon=135,
    start_ns=1_700_000_000_123_456_789,
    end_ns=1_700_000_060_623_456_789,
    steps=40,
    outcome=Outcome.FAILURE,
    reason="upright",
    judge="predicate",
    messages_recorded=900,
    messages_dropped=2,
)


def test_only_success_and_failure_count_as_trials():
    counting = {outcome for outcome in Outcome if dataclasses.replace(EPISODE, outcome=outcome).counts}
    assert counting == set(JUDGED) == {Outcome.SUCCESS, Outcome.FAILURE}


def test_an_episode_begins_running_and_uncounted():
    required = {
        f.name: getattr(EPISODE, f.name) for f in dataclasses.fields(Episode) if f.default is dataclasses.MISSING
    }
    episode = Episode(**required)
    assert episode.outcome is Outcome.RUNNING and not episode.counts


def test_an_outcome_is_read_from_its_word_and_an_unknown_word_is_refused():
    assert dataclasses.replace(EPISODE, outcome="fault").outcome is Outcome.FAULT
    with pytest.raises(ValueError, match="won"):
        dataclasses.replace(EPISODE, outcome="won")


def test_the_duration_is_in_seconds():
    assert EPISODE.duration_s == pytest.approx(60.5)


def test_an_episode_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EPISODE.steps = 5


def test_left_and_right_are_the_sides():
    assert SIDES == ("left", "right")


@pytest.mark.parametrize("outcome", Outcome)
def test_a_message_and_back_changes_nothing(outcome):
    from casher_policy.conversions import episode_from_message, episode_message

    episode = dataclasses.replace(EPISODE, outcome=outcome)
    assert episode_from_message(episode_message(episode, now_ns=5)) == episode


def test_the_message_has_a_field_for_every_field():
    from casher_msgs.msg import EpisodeResult

    renamed = {"start_ns": "start", "end_ns": "end"}
    fields = {renamed.get(f.name, f.name) for f in dataclasses.fields(Episode)}
    assert fields | {"header"} == set(EpisodeResult.get_fields_and_field_types())

"""The numbers of a report, as plain data: what report.json holds and the table and the page show.

docs/report.md documents the schema; FORMAT_VERSION counts its incompatible changes.
"""

import itertools
from collections import Counter
from dataclasses import asdict

from casher_bringup.episode_bags import TIMES
from casher_policy.episode import Outcome
from casher_policy.statistics import clopper_pearson, percentiles, wilson

FORMAT_VERSION = 1
CONFIDENCE = 0.95
GROUP_BY = ("robot", "policy", "checkpoint_id", "task", "kitchen")
"""Episodes that differ in one of these are never counted together."""
ALIKE = GROUP_BY[:-1]
"""Episodes that differ in the kitchen only are counted in every kitchen, and once over all of them."""
IDS = ("calibration_id", "software", "judge")
"""What may differ within a group and is named: an evaluation should have one of each."""


def summarise(bags, directory):
    """EpisodeBags -> dict for JSON."""
    usable = [bag for bag in bags if not bag.problem]

    def key(bag):
        return tuple(getattr(bag.episode, name) for name in GROUP_BY)

    groups = [_group(list(members)) for _, members in itertools.groupby(sorted(usable, key=key), key)]
    return {
        "format_version": FORMAT_VERSION,
        "directory": str(directory),
        "confidence": CONFIDENCE,
        "groups": groups,
        "over_kitchens": _over_kitchens([bag.episode for bag in usable]),
        "problems": [{"bag": bag.name, "problem": bag.problem} for bag in bags if bag.problem],
    }


def _over_kitchens(episodes):
    """A dict for each policy and task that was evaluated in more than one kitchen."""
    found = {}
    for episode in episodes:
        found.setdefault(tuple(getattr(episode, name) for name in ALIKE), []).append(episode)
    return [
        {
            **dict(zip(ALIKE, key, strict=True)),
            "success": _rate(members),
            "by_kitchen": {k: _rate(e for e in members if e.kitchen == k) for k in _distinct(members, "kitchen")},
            "by_object": {o: _rate(e for e in members if e.object == o) for o in _distinct(members, "object")},
        }
        for key, members in found.items()
        if len(_distinct(members, "kitchen")) > 1
    ]


def _group(bags):
    episodes = [bag.episode for bag in bags]
    by_object = {name: _rate(e for e in episodes if e.object == name) for name in _distinct(episodes, "object")}
    by_side = {name: _rate(e for e in episodes if e.side == name) for name in _distinct(episodes, "side")}
    outcomes = Counter(str(episode.outcome) for episode in episodes)
    return {
        **{name: getattr(episodes[0], name) for name in GROUP_BY},
        **{name: [value for value in _distinct(episodes, name) if value] for name in IDS},
        "success": _rate(episodes),
        "by_object": by_object,
        "by_side": by_side,
        "by_object_and_side": {
            name: {side: _rate(e for e in episodes if (e.object, e.side) == (name, side)) for side in by_side}
            for name in by_object
        },
        "not_counted": {str(o): outcomes[o] for o in (Outcome.FAULT, Outcome.ABORTED)},
        "faults": dict(Counter(e.reason for e in episodes if e.outcome == Outcome.FAULT)),
        "times": {name: percentiles([t for bag in bags for t in bag.times[name]]) for name in (*TIMES, "step_s")},
        "messages_recorded": sum(e.messages_recorded for e in episodes),
        "messages_dropped": sum(e.messages_dropped for e in episodes),
        "actions_refused": sum(bool(refused) for bag in bags for _, refused in bag.actions),
        "drift": [bag.drift for bag in bags if bag.drift],
        "episodes": [_episode(bag) for bag in sorted(bags, key=lambda bag: bag.episode.start_ns)],
    }


def _episode(bag):
    return {
        "bag": bag.name,
        **{name: str(value) if name == "outcome" else value for name, value in asdict(bag.episode).items()},
        "counts": bag.episode.counts,
        "duration_s": bag.episode.duration_s,
        "actions": [name for name, _ in bag.actions],
        "refused": {index: refused for index, (_, refused) in enumerate(bag.actions) if refused},
    }


def _distinct(episodes, name):
    """Values in the order the episodes have them."""
    return list(dict.fromkeys(getattr(episode, name) for episode in episodes))


def _rate(episodes):
    """Successes among those that count, with both intervals."""
    judged = [episode for episode in episodes if episode.counts]
    k, n = sum(episode.outcome == Outcome.SUCCESS for episode in judged), len(judged)
    return {
        "successes": k,
        "trials": n,
        "rate": k / n if n else None,
        "wilson": list(wilson(k, n, CONFIDENCE)),
        "clopper_pearson": list(clopper_pearson(k, n, CONFIDENCE)),
    }

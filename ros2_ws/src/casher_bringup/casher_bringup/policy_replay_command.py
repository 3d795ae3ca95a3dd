"""`casher policy replay`: does a checkpoint decide today as it did when the bag was recorded?"""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from tyro.conf import Positional

from casher_bringup.episode_bags import find_bags
from casher_bringup.policy_replay import read_recorded, replay
from casher_perception.bag_reader import BagError
from casher_policy.episode import HUMAN
from casher_policy.policies import make_policy


@dataclass(frozen=True)
class ReplayArgs:
    """Decide recorded episodes once more, and compare with what was decided then. Nothing moves."""

    bags: Positional[tuple[Path, ...]]
    """Bags, or folders under which they lie."""
    policy: str = ""
    """Another one to ask: student or the path of a checkpoint; by default the recorded one, which must be unchanged."""
    json: bool = False
    """Print a list of results instead of the table."""


def main(args):
    """0: every action of every bag is the same; 1: one is not, or was not replayed; 2: there is nothing to replay."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    folders = list(dict.fromkeys(bag for path in args.bags for bag in find_bags(path)))
    if not folders:
        given = ", ".join(map(str, args.bags)) or "nothing"
        errors.print(f"casher policy replay: there is no bag under {escape(given)}", style="red")
        return 2
    results = [_one(folder, args.policy) for folder in folders]
    if args.json:
        sys.stdout.write(json.dumps(results, indent=1) + "\n")
    else:
        _print(Console(highlight=False, soft_wrap=True), results)
    return 0 if all(result["agrees"] for result in results) else 1


def _one(folder, spec):
    """-> dict for JSON; `problem` says why a bag was not replayed."""
    try:
        recorded = read_recorded(folder)
        policy = _policy(spec, recorded.episode)
    except (BagError, ValueError) as error:
        return {"bag": str(folder), "agrees": False, "problem": str(error)}
    agreement = replay(recorded, policy)
    return {
        "bag": str(folder),
        "policy": policy.name,
        "checkpoint_id": policy.checkpoint_id,
        "recorded_checkpoint_id": recorded.episode.checkpoint_id,
        "seed": recorded.episode.seed,
        "agrees": agreement.agrees,
        **dataclasses.asdict(agreement),
    }


def _policy(spec, episode):
    if not spec and episode.policy == HUMAN:
        raise ValueError(
            "this is a demonstration: a person decided, there is no policy to ask; name one with --policy to see "
            "where it would have done the same"
        )
    policy = make_policy(spec or episode.policy, episode.task, episode.robot)
    if not spec and policy.checkpoint_id != episode.checkpoint_id:
        raise ValueError(
            f"{policy.name} is not the checkpoint that was recorded ({policy.checkpoint_id[:12]} now, "
            f"{episode.checkpoint_id[:12]} then): find that one, or name this one with --policy to compare the two"
        )
    policy.warm_up()
    return policy


def _print(console, results):
    columns = Column("bag", overflow="fold"), "steps", "actions equal", "largest difference of a probability"
    table = Table(*columns, box=None, pad_edge=False)
    for result in results:
        if "problem" in result:
            continue
        equal = f"{result['actions_equal']}/{result['replayed']}"
        style = None if result["agrees"] else "yellow"
        table.add_row(
            escape(result["bag"]), str(result["steps"]), equal, f"{result['largest_difference']:.2g}", style=style
        )
    if table.row_count:
        console.print(table)
    for result in results:
        for key in ("first_difference", "stopped", "problem"):
            if result.get(key):
                console.print(f"[yellow]{escape(result['bag'])}: {escape(result[key])}[/yellow]")
    agreeing = sum(result["agrees"] for result in results)
    console.print(f"{agreeing} of {len(results)} episodes decided as recorded")

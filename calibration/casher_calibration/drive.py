"""Driving the arm through a session: small turns first, then, round after round, the poses that tell most."""

import numpy as np

from casher_calibration.collector import CollectError
from casher_calibration.estimate import FEWEST_VIEWS, rough_estimate
from casher_calibration.poses import candidates, choose, first_poses, measure_of, tour
from casher_calibration.reach import board_outline
from casher_franka.arm import ArmFault, Target

ROUND = 5
"""Poses between two choices: the rough calibration gets better meanwhile."""
NO_CHANCE = 3
"""Rounds in a row without a new sample, after which it is given up."""
REFUSED = ("unreachable", "outside_workspace", "joint_limit", "self_collision", "table")
"""Faults after which the arm stands and another pose can be tried."""


def collect(collector, reach, count, rng, stopped=lambda: False):
    """Take samples until `count` of them are seen by every camera, or stopped() -> how many are.

    reach: Reach with the board's outline still empty. Starts where the arm stands. Raises what needs a person:
    BoardProblem, CollectError, SolveError, ArmFault.
    """
    progress = collector.progress
    if collector.arm.state().fault == "user_stop":
        collector.arm.recover()  # the arm was guided here, and whoever did it has said go
    start = collector.arm.state()
    if collector.whole() < FEWEST_VIEWS:
        _small_turns(collector, reach, start, stopped)
    idle = 0
    while collector.whole() < count and not stopped():
        before = collector.whole()
        measure, reach = _plan_with(collector, reach, rng)
        origin = _back(collector, reach, start)
        progress.phase = "choosing poses"
        q, T = candidates(measure, reach, origin.joint_positions, origin.T_base_tcp, rng, T_middle=start.T_base_tcp)
        if not len(q):
            raise CollectError(
                "no pose is within reach in which every camera sees the whole board: guide the arm to the middle of "
                "what they see, or move the cameras so that they see more together"
            )
        chosen, errors = choose(measure, measure.of(T, q), min(ROUND, count - before), _taken(collector, measure))
        progress.expected_mm = 1e3 * errors[-1]
        for i in tour(q[chosen], collector.arm.state().joint_positions):
            if stopped():
                break
            _go_and_take(collector, reach, T[chosen[i]], origin)
        idle = 0 if collector.whole() > before else idle + 1
        if idle == NO_CHANCE:
            raise CollectError(
                f"{NO_CHANCE * ROUND} poses in a row gave no sample that every camera sees: look at the pictures "
                "for what is in the way"
            )
    progress.phase = "stopped" if stopped() else "done"
    return collector.whole()


def _small_turns(collector, reach, start, stopped):
    collector.progress.phase = "small turns where the arm stands"
    for T in first_poses(start.T_base_tcp):
        if stopped():
            return
        _go_and_take(collector, reach, T, start)


def _back(collector, reach, start):
    """Back to where the arm began, if that is free -> its state there (the elbow may differ), or where it is."""
    state = collector.arm.state()
    _, words = reach.way(state.joint_positions, state.T_base_tcp, start.T_base_tcp)
    return state if words else collector.arm.move_to(Target(start.T_base_tcp, state.width_command))


def _plan_with(collector, reach, rng):
    """-> (Measure, Reach that knows the board)"""
    estimate = rough_estimate(collector.session, rng)
    outline = board_outline(collector.session.board, estimate.T_gripper_board)
    reach = type(reach)(reach.low, reach.high, reach.table_m, reach.robot, outline)
    return measure_of(collector.session, estimate, (reach.low, reach.high)), reach


def _taken(collector, measure):
    samples = [sample for sample in collector.session.samples if sample.joints is not None]
    T = np.array([sample.T_base_gripper for sample in samples])
    return measure.of(T, np.array([sample.joints for sample in samples])).sum(axis=0) if samples else None


def _go_and_take(collector, reach, T, origin):
    """One pose; what another pose may cure is only said."""
    try:
        _go(collector, reach, T, origin)
        collector.progress.phase = "taking a sample"
        collector.take()
    except CollectError as error:
        if collector.arm.state().fault:
            raise
        collector.progress.say(str(error))
    except ArmFault as fault:
        if fault.name not in REFUSED:
            raise
        collector.progress.say(f"the arm did not go to a pose ({fault}): the next one")


def _go(collector, reach, T, origin):
    """Straight there, or by way of `origin`, as far as both are free; CollectError otherwise."""
    arm = collector.arm
    state = arm.state()
    _, words = reach.way(state.joint_positions, state.T_base_tcp, T)
    via = []
    if words:
        back, words_back = reach.way(state.joint_positions, state.T_base_tcp, origin.T_base_tcp)
        _, words_on = reach.way(back, origin.T_base_tcp, T)
        if words_back or words_on:
            raise CollectError(f"a pose was left out: {words}")
        via = [origin.T_base_tcp]
    for leg in [*via, T]:
        collector.progress.phase = "moving"
        arm.move_to(Target(leg, state.width_command))

"""What the safety core lets through."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from casher_franka.arm import FAULTS, ArmState
from casher_franka.safety import REFUSED, Limits, check
from casher_perception.geometry import pose_matrix
from casher_policy.action import PAPER, RELEASED, Action, Target, decode

NOW = time.time_ns()
BOX = (np.array([0.2, -0.5, 0.0]), np.array([0.8, 0.5, 0.9]))
LIMITS = Limits.of(RELEASED)

inside = st.tuples(*(st.floats(low + 0.05, high - 0.05) for low, high in zip(*BOX, strict=True)))
anywhere = st.tuples(*[st.floats(-2.0, 2.0)] * 3)
rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))
actions = st.integers(0, 13)


def standing(position, R=None, *, age_s=0.0, fault=""):
    """ArmState of an arm at rest."""
    quat = (R or Rotation.identity()).as_quat()
    zeros = np.zeros(7)
    T = pose_matrix(position, quat)
    return ArmState(NOW - int(age_s * 1e9), T, zeros, zeros, np.zeros(2), 0.08, False, False, fault)


def verdict(target, state, limits=LIMITS):
    return check(target, state, BOX, limits, NOW)


def of(action, state, steps=RELEASED):
    return decode(action, state.T_base_tcp, state.width_command, steps)


def outside(p):
    return np.maximum(np.maximum(BOX[0] - p, p - BOX[1]), 0.0)


@given(actions, inside, rotations)
def test_every_action_well_inside_the_box_is_allowed(action, p, R):
    state = standing(p, R)
    assert verdict(of(action, state), state).allow
    assert verdict(of(action, state, PAPER), state).allow


@given(actions, anywhere, rotations)
def test_no_allowed_action_takes_the_tool_further_out_of_the_box(action, p, R):
    state = standing(p, R)
    target = of(action, state)
    allowed = verdict(target, state).allow
    assert allowed == (outside(target.T_base_tcp[:3, 3]) <= outside(state.T_base_tcp[:3, 3])).all()


@given(anywhere)
def test_an_arm_outside_the_box_can_always_come_back_in(p):
    state = standing(p)
    for _ in range(400):
        d = outside(state.T_base_tcp[:3, 3])
        if not d.any():
            break
        axis = int(np.argmax(d))
        below = state.T_base_tcp[axis, 3] < BOX[0][axis]
        target = of(2 * axis + (0 if below else 1), state)
        assert verdict(target, state).allow
        state = standing(target.T_base_tcp[:3, 3])
    assert not outside(state.T_base_tcp[:3, 3]).any()


@given(st.sampled_from([Action.OPEN, Action.CLOSE]), anywhere, rotations)
def test_the_gripper_may_open_and_close_anywhere(action, p, R):
    state = standing(p, R)
    assert verdict(of(action, state), state).allow


def test_a_refusal_says_which_axis_and_by_how_much():
    state = standing((0.79, 0.0, 0.01))
    T = state.T_base_tcp.copy()
    T[:3, 3] += [0.03, 0.0, -0.03]
    refused = verdict(Target(T, 0.08), state)
    assert (
        refused.reason
        == "outside_workspace: x 0.820 m is not in 0.200 .. 0.800 m, z -0.020 m is not in 0.000 .. 0.900 m"
    )
    assert refused.name in REFUSED


@given(inside, rotations, st.floats(1.01, 20.0), st.sampled_from(range(12)))
def test_a_target_much_further_than_one_step_is_refused(p, R, factor, action):
    state = standing(p, R)
    steps = type(RELEASED)(factor * LIMITS.translation_m, min(factor * LIMITS.rotation_rad, 3.0))
    assert verdict(of(action, state, steps), state).name == "unsafe"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_wherever_they_stand(bad):
    state = standing((0.5, 0.0, 0.5))
    for row in range(3):
        for column in range(4):
            T = state.T_base_tcp.copy()
            T[row, column] = bad
            assert verdict(Target(T, 0.08), state).name == "unsafe"
    assert verdict(Target(state.T_base_tcp, bad), state).name == "unsafe"
    broken = standing((0.5, 0.0, 0.5))
    broken.T_base_tcp[0, 3] = bad
    assert verdict(Target(state.T_base_tcp, 0.08), broken).name == "unsafe"


@pytest.mark.parametrize("width", [-0.001, 0.081])
def test_a_width_the_hand_does_not_have_is_refused(width):
    state = standing((0.5, 0.0, 0.5))
    assert verdict(Target(state.T_base_tcp, width), state).name == "unsafe"


@pytest.mark.parametrize(("age_s", "allow"), [(0.0, True), (0.19, True), (0.21, False), (5.0, False), (-0.3, False)])
def test_a_decision_needs_a_fresh_measurement(age_s, allow):
    state = standing((0.5, 0.0, 0.5), age_s=age_s)
    assert verdict(of(Action.PLUS_X, state), state).allow == allow
    if not allow:
        assert f"{age_s:.3f} s old" in verdict(of(Action.PLUS_X, state), state).reason


@pytest.mark.parametrize("fault", FAULTS)
def test_an_arm_with_a_fault_does_not_move_and_the_verdict_names_it(fault):
    state = standing((0.5, 0.0, 0.5), fault=fault)
    assert verdict(of(Action.CLOSE, state), state).name == fault

"""What the safety core lets through."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casher_franka.arm import FAULTS, HOME_JOINTS, ArmState
from casher_franka.arm_shape import capsule_ends, self_clearance
from casher_franka.envelope import Envelope, Limits
from casher_franka.kinematics import JOINT_RANGES, inverse, tcp_pose
from casher_franka.retreat import towards_home
from casher_franka.safety import REFUSED, RULES, check, check_home, judge
from casher_perception.rig import load_rig, save_rig
from casher_policy.action import PAPER, RELEASED, Action, Target, decode

DEMO = Path(__file__).parents[1] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"
NOW = time.time_ns()
HOME = np.array(HOME_JOINTS)
RANGES = JOINT_RANGES["fr3"]
ROOM = Envelope(np.array([-2.0, -2.0, -2.0]), np.array([2.0, 2.0, 2.0]), -2.0, *RANGES)
"""So large that only the arm itself is in its way."""
LIMITS = Limits.of(RELEASED)

seeds = st.integers(0, 2**32 - 1)
near_home = seeds.map(lambda seed: HOME + np.random.default_rng(seed).uniform(-0.05, 0.05, 7))
anyhow = seeds.map(lambda seed: np.random.default_rng(seed).uniform(*RANGES))
actions = st.integers(0, 13)


def standing(q=HOME, *, age_s=0.0, fault=""):
    """ArmState of an arm at rest."""
    q = np.array(q, dtype=float)
    return ArmState(NOW - int(age_s * 1e9), tcp_pose(q), q, np.zeros(7), np.zeros(2), 0.08, False, False, fault)


def verdict(target, state, envelope=ROOM, limits=LIMITS):
    return check(target, state, envelope, limits, NOW)


def of(action, state, steps=RELEASED):
    return decode(action, state.T_base_tcp, state.width_command, steps)


def box(low, high):
    return dataclasses.replace(ROOM, low=np.asarray(low, dtype=float), high=np.asarray(high, dtype=float))


def outside(p, envelope):
    return np.maximum(np.maximum(envelope.low - p, p - envelope.high), 0.0)


@given(actions, near_home)
def test_every_action_from_about_the_start_pose_is_allowed(action, q):
    state = standing(q)
    assert verdict(of(action, state), state).reason == ""
    assert verdict(of(action, state, PAPER), state).allow


@given(actions, near_home, st.tuples(*[st.floats(-0.1, 0.1)] * 3), st.tuples(*[st.floats(0.01, 0.1)] * 3))
def test_no_allowed_action_takes_the_tool_further_out_of_the_box(action, q, offset, size):
    state = standing(q)
    p = state.T_base_tcp[:3, 3]
    room = box(p + offset, p + np.add(offset, size))
    target = of(action, state)
    worse = (outside(target.T_base_tcp[:3, 3], room) > outside(p, room)).any()
    assert (verdict(target, state, room).name == "outside_workspace") == worse


@settings(max_examples=30)
@given(st.tuples(st.floats(-0.02, 0.15), st.floats(-0.15, 0.15), st.floats(-0.15, 0.15)))
def test_an_arm_outside_the_box_can_always_come_back_in(offset):
    state = standing()
    p = state.T_base_tcp[:3, 3]
    room = box(p + offset - 0.02, p + offset + 0.02)
    for _ in range(40):
        d = outside(state.T_base_tcp[:3, 3], room)
        if not d.any():
            break
        axis = int(np.argmax(d))
        below = state.T_base_tcp[axis, 3] < room.low[axis]
        target = of(2 * axis + (0 if below else 1), state)
        assert verdict(target, state, room).allow
        (q,), (reached,) = inverse(target.T_base_tcp[None], state.joint_positions[None])
        assert reached
        state = standing(q)
    assert not outside(state.T_base_tcp[:3, 3], room).any()


@given(st.sampled_from([Action.OPEN, Action.CLOSE]), anyhow)
def test_the_gripper_may_open_and_close_anywhere(action, q):
    state = standing(q)
    nowhere = dataclasses.replace(box([5, 5, 5], [6, 6, 6]), table_m=5.0)
    assert verdict(of(action, state), state, nowhere).allow


def test_a_refusal_says_which_axis_and_by_how_much():
    state = standing()
    p = state.T_base_tcp[:3, 3]
    T = state.T_base_tcp.copy()
    T[:3, 3] += [0.03, 0.0, -0.03]
    refused = verdict(Target(T, 0.08), state, box(np.subtract(p, [1, 1, 0.01]), np.add(p, [0.01, 1, 1])))
    assert refused.name in REFUSED
    assert refused.reason == (
        f"outside_workspace: x {p[0] + 0.03:.3f} m is not in {p[0] - 1:.3f} .. {p[0] + 0.01:.3f} m, "
        f"z {p[2] - 0.03:.3f} m is not in {p[2] - 0.01:.3f} .. {p[2] + 1:.3f} m"
    )


@given(near_home, st.floats(1.01, 20.0), st.sampled_from(range(12)))
def test_a_target_much_further_than_one_step_is_refused(q, factor, action):
    state = standing(q)
    steps = type(RELEASED)(factor * LIMITS.translation_m, min(factor * LIMITS.rotation_rad, 3.0))
    assert verdict(of(action, state, steps), state).name == "unsafe"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_wherever_they_stand(bad):
    state = standing()
    for row in range(3):
        for column in range(4):
            T = state.T_base_tcp.copy()
            T[row, column] = bad
            assert verdict(Target(T, 0.08), state).name == "unsafe"
    assert verdict(Target(state.T_base_tcp, bad), state).name == "unsafe"
    pose, joints = standing(), standing()
    pose.T_base_tcp[0, 3] = joints.joint_positions[3] = bad
    for broken in (pose, joints):
        assert verdict(Target(state.T_base_tcp, 0.08), broken).name == "unsafe"


@pytest.mark.parametrize("width", [-0.001, 0.081])
def test_a_width_the_hand_does_not_have_is_refused(width):
    state = standing()
    assert verdict(Target(state.T_base_tcp, width), state).name == "unsafe"


@pytest.mark.parametrize(("age_s", "allow"), [(0.0, True), (0.19, True), (0.21, False), (5.0, False), (-0.3, False)])
def test_a_decision_needs_a_fresh_measurement(age_s, allow):
    state = standing(age_s=age_s)
    for found in (verdict(of(Action.PLUS_X, state), state), check_home(state, HOME, ROOM, LIMITS, NOW)):
        assert found.allow == allow
        if not allow:
            assert f"{age_s:.3f} s old" in found.reason


@pytest.mark.parametrize("fault", FAULTS)
def test_an_arm_with_a_fault_does_not_move_and_the_verdict_names_it(fault):
    state = standing(fault=fault)
    assert verdict(of(Action.CLOSE, state), state).name == fault
    assert check_home(state, HOME, ROOM, LIMITS, NOW).name == fault


def test_a_tool_that_is_not_where_the_joints_put_it_is_refused():
    for moved in ([0.02, 0.0, 0.0], [0.0, 0.0, -0.1034]):  # an end effector frame at the flange, say
        state = standing()
        state.T_base_tcp[:3, 3] += moved
        found = verdict(of(Action.PLUS_X, state), state)
        assert found.name == "unsafe" and "end effector" in found.detail


@given(st.integers(0, 6), st.booleans(), st.floats(0.0, 0.04), st.sampled_from(range(12)))
def test_a_joint_at_the_end_of_its_range_goes_no_further_and_is_named(joint, low, margin, action):
    state = standing()
    bounds = [r.copy() for r in RANGES]
    bounds[0 if low else 1][joint] = HOME[joint] + (-margin if low else margin)
    room = dataclasses.replace(ROOM, joint_low=bounds[0], joint_high=bounds[1])
    target = of(action, state)
    (q,), _ = inverse(target.T_base_tcp[None], HOME[None])
    found = verdict(target, state, room)
    if (q[joint] - HOME[joint]) * (-1 if low else 1) > 1e-3:
        assert found.name == "joint_limit" and f"joint {joint + 1} " in found.detail
    else:
        assert found.name in ("", "joint_limit")


def test_the_arm_goes_down_to_the_worktop_and_no_further_and_up_again():
    state, room = standing(), dataclasses.replace(box([0, -1, 0.05], [1, 1, 1]), table_m=0.05)
    for _ in range(20):
        target = of(Action.MINUS_Z, state)
        found = verdict(target, state, room)
        if not found.allow:
            break
        state = standing(inverse(target.T_base_tcp[None], state.joint_positions[None])[0][0])
    assert found.name in ("outside_workspace", "table")
    assert 0.05 <= state.T_base_tcp[2, 3] < 0.09
    assert verdict(of(Action.PLUS_Z, state), state, room).allow


def test_below_the_worktop_only_the_hand_goes():
    q = np.array([0.0, 0.6, 0.0, -2.0, 0.0, 2.6, 0.785])  # straight down, 17 cm above the base's foot
    state = standing(q)
    z = state.T_base_tcp[2, 3]
    sink = dataclasses.replace(box([0, -1, z - 0.5], [1, 1, 1]), table_m=z + 0.05)
    assert verdict(of(Action.MINUS_Z, state), state, sink).allow
    forearm_near = dataclasses.replace(sink, table_m=z + 0.16)
    found = verdict(of(Action.MINUS_Z, state), state, forearm_near)
    assert found.name == "table" and found.name in REFUSED
    assert verdict(of(Action.PLUS_Z, state), state, forearm_near).allow


def test_a_hand_that_would_touch_the_shoulder_is_refused():
    drawn = np.random.default_rng(5).uniform(*RANGES, (4000, 7))
    apart = self_clearance(capsule_ends(drawn))
    names = set()
    for q in drawn[(apart > LIMITS.self_m) & (apart < LIMITS.self_m + 0.005)][:5]:
        state = standing(q)
        names |= {verdict(of(action, state), state).name for action in range(12)}
    assert "self_collision" in names and names <= {"", *REFUSED}


def test_the_way_home_is_looked_at_not_only_its_end():
    assert check_home(standing(HOME + 0.1), HOME, ROOM, LIMITS, NOW).allow
    turned = np.add(HOME, [2.5, 0, 0, 0, 0, 0, 0])
    assert check_home(standing(turned), HOME, ROOM, LIMITS, NOW).allow
    low = np.array([0.0, 0.9, 0.0, -1.6, 0.0, 2.5, 0.785])
    table = dataclasses.replace(ROOM, table_m=0.3)
    assert check_home(standing(low), HOME, table, LIMITS, NOW).allow, "from beyond a bound, what gets better is allowed"
    assert check_home(standing(), low, table, LIMITS, NOW).name == "table"
    there_and_back = np.add(HOME, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0])
    assert check_home(standing(), there_and_back, ROOM, LIMITS, NOW).name == "joint_limit"


@settings(max_examples=20)
@given(seeds)
def test_a_batch_is_judged_as_its_elements_are(seed):
    rng = np.random.default_rng(seed)
    q = rng.uniform(*RANGES, (8, 7))
    T = tcp_pose(q)
    target = decode(rng.integers(0, 14, 8), T, np.full(8, 0.08))
    room = dataclasses.replace(box([0.1, -0.6, 0.0], [0.8, 0.6, 0.9]), table_m=0.0)
    found = judge(target.T_base_tcp, target.width, T, q, np.zeros(8), room, LIMITS)
    for i in range(8):
        alone = verdict(Target(target.T_base_tcp[i], target.width[i]), standing(q[i]), room)
        assert alone.name == list(RULES.values())[found.rule[i]][0]


def test_every_verdict_is_a_fault_that_says_what_to_do():
    assert {name for name, _ in RULES.values()} - {""} <= set(FAULTS)
    assert set(REFUSED) <= set(FAULTS)


def test_the_worktop_is_the_rigs_or_else_the_workspaces_lowest(tmp_path):
    rig = load_rig(DEMO)
    assert Envelope.of(rig, "sim").table_m == rig.workspace_low[2]
    save_rig(dataclasses.replace(rig, table_m=0.05), tmp_path / "rig.yaml")
    assert Envelope.of(load_rig(tmp_path / "rig.yaml"), "fr3").table_m == 0.05
    with pytest.raises(ValueError, match="table must be a height within"):
        save_rig(dataclasses.replace(rig, table_m=-1.0), tmp_path / "rig.yaml")


def test_a_panda_has_ranges_of_its_own():
    rig = load_rig(DEMO)
    assert not np.array_equal(Envelope.of(rig, "panda").joint_low, Envelope.of(rig, "fr3").joint_low)
    assert np.array_equal(Envelope.of(rig, "sim").joint_low, Envelope.of(rig, "fr3").joint_low)


def test_the_way_home_keeps_the_tool_in_the_box_or_it_is_refused():
    turned = standing(np.add(HOME, [2.5, 0, 0, 0, 0, 0, 0]))
    p, p_home = turned.T_base_tcp[:3, 3], standing().T_base_tcp[:3, 3]
    room = box(np.minimum(p, p_home) - 0.02, np.maximum(p, p_home) + 0.02)
    found = check_home(turned, HOME, room, LIMITS, NOW)
    assert found.name == "outside_workspace" and found.detail.startswith("the way to the start pose leaves the box: ")
    assert check_home(turned, HOME, room, LIMITS, NOW, boxed=False).allow
    beyond = box(p_home - 0.02, p_home + 0.02)
    near = standing(np.add(HOME, [0.1, 0, 0, 0, 0, 0, 0]))
    assert outside(near.T_base_tcp[:3, 3], beyond).any() and check_home(near, HOME, beyond, LIMITS, NOW).allow
    lacking = box(p_home + 0.05, p_home + 0.2)
    assert check_home(near, HOME, lacking, LIMITS, NOW).name == "outside_workspace"
    with pytest.raises(ValueError, match="lacks the start pose"):
        lacking.require(p_home, "the start pose")
    room.require(p_home, "the start pose")


def test_an_arm_whose_way_home_leaves_a_small_box_comes_back_in_straight_steps():
    p_home = standing().T_base_tcp[:3, 3]
    room, rng, retreats = box(p_home - 0.1, p_home + 0.1), np.random.default_rng(0), 0
    for _ in range(30):
        state, likes = standing(), rng.dirichlet(np.full(12, 0.4))
        for _ in range(15):
            target = of(int(rng.choice(12, p=likes)), state)
            if verdict(target, state, room).allow:
                state = standing(inverse(target.T_base_tcp[None], state.joint_positions[None])[0][0])
        for _ in range(40):
            if check_home(state, HOME, room, LIMITS, NOW).allow:
                break
            retreats += 1
            target = towards_home(state, LIMITS)
            assert verdict(target, state, room).allow
            state = standing(inverse(target.T_base_tcp[None], state.joint_positions[None])[0][0])
        assert check_home(state, HOME, room, LIMITS, NOW).allow
    assert retreats > 0

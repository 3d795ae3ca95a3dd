"""The last look before the arm moves: whether a decoded target may be carried out.

A target is allowed or refused, never changed: a clipped action is another action than the one the policy chose, and the
record would not say so (docs/decisions/0004). The names of the verdicts are those of `arm.FAULTS`.

What is looked at is the way there, not only its end: joints near the measured ones that reach the pose half way and the
target, and the joints between them. Whoever stands beyond a bound already, because someone guided the arm there, may go
wherever it does not get worse.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from casher_franka.arm_shape import capsule_ends, self_clearance, table_clearance
from casher_franka.kinematics import inverse, tcp_pose
from casher_perception.geometry import rotation_angle

AGREE_M, AGREE_RAD = 0.01, 0.05
"""Between the measured pose and that of the measured joints: more, and the tool or the state is not what we think."""
REFUSED = ("outside_workspace", "unreachable", "joint_limit", "self_collision", "table")
"""Verdicts on the policy's choice: the arm stays, the episode goes on. All others are faults of the apparatus."""
RULES = {
    "": ("", ""),
    "age": ("connection_lost", "the last measurement is {value:.3f} s old, at most {limits.state_age_s} s is"),
    "measured": ("unsafe", "the measurement is not finite"),
    "disagree": (
        "unsafe",
        "the measured tool is {value:.3f} m and rad from where the measured joints put that of the Franka hand: check "
        "the end effector in Desk",
    ),
    "target": ("unsafe", "the target is not finite"),
    "width": ("unsafe", "fingers {value:.4f} m apart, possible are 0 to {limits.width_m} m"),
    "step": ("unsafe", "a step of {value:.4f} m, at most {limits.translation_m:.4f} m is one action"),
    "turn": ("unsafe", "a turn of {value:.4f} rad, at most {limits.rotation_rad:.4f} rad is one action"),
    "box": ("outside_workspace", "{axes}"),
    "home": ("outside_workspace", "the way to the start pose leaves the box: {axes}: guide the arm nearer to it"),
    "reach": ("unreachable", "no joints within {far} rad of the measured ones reach the target"),
    "joint": (
        "joint_limit",
        "joint {joint} would be {value:.3f} rad from the end of its range, {limits.joint_margin_rad} rad are kept",
    ),
    "self": ("self_collision", "the arm would be {value:.3f} m from itself, {limits.self_m} m are kept"),
    "table": ("table", "the arm would be {value:.3f} m from the worktop, {limits.table_m} m are kept"),
}
"""Rule -> the verdict's name, and in words what `value` of it was found, in the order in which they are looked at."""
FAR_RAD = 1.2
"""A joint that turns by more in one action passes a singularity, faster than it can."""
WAY_HOME = np.linspace(0.0, 1.0, 25)[1:]
"""Fractions of the way to the start pose that are looked at."""
_NO_WORSE = 1e-4
"""[m or rad] by which noise may make a bound that is passed already look worse."""


@dataclass(frozen=True)
class Verdict:
    """What `check` says of a target."""

    name: str = ""
    """Empty when allowed, else a key of `arm.FAULTS`."""
    detail: str = ""
    """In words, with the numbers."""

    @property
    def allow(self):
        """Whether the arm may move."""
        return not self.name

    @property
    def reason(self):
        """'name: detail', empty when allowed."""
        return f"{self.name}: {self.detail}" if self.name else ""


@dataclass(frozen=True, eq=False)
class Findings:
    """What `judge` found of B targets."""

    rule: np.ndarray
    """(B,) index into RULES of the first one that is broken; 0 when allowed."""
    value: np.ndarray
    """(B,) what was found, in the unit of the rule's words."""
    joint: np.ndarray
    """(B,) number of the joint that is nearest to the end of its range, 1 .. 7."""


def check(target, state, envelope, limits, now_ns):
    """Verdict on `target` (action.Target) for an arm in `state` (ArmState); now_ns: [ns] since the epoch."""
    if state.fault:
        return Verdict(state.fault, "the arm does not move until this is cleared")
    T, measured = np.asarray(target.T_base_tcp, dtype=np.float64), np.asarray(state.T_base_tcp, dtype=np.float64)
    found = judge(
        T[None],
        np.array([target.width], dtype=np.float64),
        measured[None],
        np.array([state.joint_positions], dtype=np.float64),
        np.array([(now_ns - state.stamp_ns) * 1e-9]),
        envelope,
        limits,
    )
    return _in_words(found, limits, _axes(T[:3, 3], envelope))


def check_home(state, q_home, envelope, limits, now_ns, boxed=True):
    """Verdict on the way from `state` (ArmState) to the joints q_home (7,), straight in the joints' space.

    boxed: the tool's way may be no further outside the box, along any axis, than the tool is now.
    """
    if state.fault:
        return Verdict(state.fault, "the arm does not move until this is cleared")
    q, T = np.array([state.joint_positions], dtype=np.float64), np.array([state.T_base_tcp], dtype=np.float64)
    found = _nothing(1)
    _judge_state(found, T, q, np.array([(now_ns - state.stamp_ns) * 1e-9]), limits)
    if not found.rule[0]:
        way = q[:, None] + WAY_HOME[:, None] * (np.asarray(q_home) - q)
        p = tcp_pose(np.concatenate([q, way[0]]))[:, :3, 3]
        outside = _outside(p, envelope)
        worse = (outside[1:] - outside[0]).max(axis=1)
        worst = 1 + int(worse.argmax())
        _note(found, "home", np.array([boxed and worse.max() > _NO_WORSE]), outside[worst : worst + 1].max(axis=1))
        _judge_way(found, np.array([0]), q, way, envelope, limits)
        return _in_words(found, limits, _axes(p[worst], envelope))
    return _in_words(found, limits, "")


def judge(T_base_tcp, width, T_measured, q, age_s, envelope, limits):
    """What `check` asks of one target, of B at once -> Findings.

    T_base_tcp, T_measured: (B, 4, 4); width: (B,) [m]; q: (B, 7) [rad] measured; age_s: (B,) of the measurement.
    """
    found = _nothing(len(q))
    _judge_state(found, T_measured, q, age_s, limits)
    finite = np.isfinite(T_base_tcp).all(axis=(1, 2)) & np.isfinite(width)
    _note(found, "target", ~finite, width)
    _note(found, "width", ~((width >= 0.0) & (width <= limits.width_m)), width)
    with np.errstate(invalid="ignore"):  # what is not finite has been found already
        p, p_measured = T_base_tcp[:, :3, 3], T_measured[:, :3, 3]
        step_m = np.linalg.norm(p - p_measured, axis=1)
        _note(found, "step", ~(step_m <= limits.translation_m), step_m)
        step_rad = rotation_angle(T_measured[:, :3, :3].swapaxes(1, 2) @ T_base_tcp[:, :3, :3])
        _note(found, "turn", ~(step_rad <= limits.rotation_rad), step_rad)
        outside, outside_now = _outside(p, envelope), _outside(p_measured, envelope)
        _note(found, "box", ~(outside <= outside_now).all(axis=1), outside.max(axis=1))
    moves = (T_base_tcp != T_measured).any(axis=(1, 2))  # the others only move the fingers
    rows = np.flatnonzero((found.rule == 0) & moves)
    if len(rows):
        way, reached = way_to(T_base_tcp[rows], T_measured[rows], q[rows])
        found.rule[rows[~reached]] = _INDEX["reach"]
        _judge_way(found, rows[reached], q[rows[reached]], way[reached], envelope, limits)
    return found


def way_to(T_base_tcp, T_measured, q):
    """Targets and measured poses (B, 4, 4), measured joints (B, 7) -> joints on the way (B, 4, 7), reached (B,) bool.

    The last of the four are the target's.
    """
    T_half = T_base_tcp.copy()
    T_half[:, :3, 3] = 0.5 * (T_base_tcp[:, :3, 3] + T_measured[:, :3, 3])
    turn = Rotation.from_matrix(T_measured[:, :3, :3].swapaxes(1, 2) @ T_base_tcp[:, :3, :3]).as_rotvec()
    T_half[:, :3, :3] = T_measured[:, :3, :3] @ Rotation.from_rotvec(0.5 * turn).as_matrix()
    half, half_reached = inverse(T_half, q)
    end, end_reached = inverse(T_base_tcp, half)
    near = np.abs(end - q).max(axis=1) <= FAR_RAD
    return np.stack([0.5 * (q + half), half, 0.5 * (half + end), end], axis=1), half_reached & end_reached & near


_INDEX = {name: i for i, name in enumerate(RULES)}


def _nothing(n):
    return Findings(np.zeros(n, np.int8), np.zeros(n), np.zeros(n, np.int8))


def _note(found, rule, broken, value):
    """Keep `rule` and `value` where `broken` (B,) and no earlier rule was."""
    new = broken & (found.rule == 0)
    found.rule[new], found.value[new] = _INDEX[rule], value[new]


def _judge_state(found, T_measured, q, age_s, limits):
    _note(found, "age", ~(np.abs(age_s) <= limits.state_age_s), age_s)
    finite = np.isfinite(T_measured).all(axis=(1, 2)) & np.isfinite(q).all(axis=1)
    _note(found, "measured", ~finite, age_s)
    T = tcp_pose(np.where(finite[:, None], q, 0.0))
    with np.errstate(invalid="ignore"):
        apart_m = np.linalg.norm(T[:, :3, 3] - T_measured[:, :3, 3], axis=1)
        turned_rad = rotation_angle(T[:, :3, :3].swapaxes(1, 2) @ T_measured[:, :3, :3])
    _note(found, "disagree", ~((apart_m <= AGREE_M) & (turned_rad <= AGREE_RAD)), np.maximum(apart_m, turned_rad))


def _judge_way(found, rows, q, way, envelope, limits):
    """Note for `rows` (N,) whether the arm at the joints `way` (N, K, 7), coming from q (N, 7), keeps its margins."""
    path = np.concatenate([q[:, None], way], axis=1)
    margins = np.minimum(path - envelope.joint_low, envelope.joint_high - path)
    least = margins[:, 1:].min(axis=1)
    short = least - np.minimum(limits.joint_margin_rad, margins[:, 0])
    joint = short.argmin(axis=1)
    nearest = least[np.arange(len(rows)), joint]
    ends = capsule_ends(path.reshape(-1, 7))
    apart = self_clearance(ends).reshape(path.shape[:2])
    above = table_clearance(ends, envelope.table_m, envelope.floor_m).reshape(path.shape[:2])
    for rule, broken, value in (
        ("joint", short.min(axis=1) < -_NO_WORSE, nearest),
        ("self", apart[:, 1:].min(axis=1) < np.minimum(limits.self_m, apart[:, 0]) - _NO_WORSE, apart.min(axis=1)),
        ("table", above[:, 1:].min(axis=1) < np.minimum(limits.table_m, above[:, 0]) - _NO_WORSE, above.min(axis=1)),
    ):
        new = broken & (found.rule[rows] == 0)
        found.rule[rows[new]], found.value[rows[new]], found.joint[rows[new]] = _INDEX[rule], value[new], joint[new] + 1


def _in_words(found, limits, axes):
    name, words = list(RULES.values())[found.rule[0]]
    return Verdict(
        name, words.format(value=found.value[0], joint=found.joint[0], limits=limits, axes=axes, far=FAR_RAD)
    )


def _outside(p, envelope):
    """How far p (N, 3) is outside the box along each axis, (N, 3) [m]."""
    return np.maximum(np.maximum(envelope.low - p, p - envelope.high), 0.0)


def _axes(p, envelope):
    """Which coordinates of p (3,) are out of the box, in words."""
    low, high = envelope.low, envelope.high
    return ", ".join(
        f"{'xyz'[i]} {p[i]:.3f} m is not in {low[i]:.3f} .. {high[i]:.3f} m"
        for i in range(3)
        if not low[i] <= p[i] <= high[i]
    )

"""140 of 140 actions end within 1 mm and 0.2 degrees of decode()'s target, through real franky and real panda_py.

All 14 actions from 10 poses, against the FCI test server (tests/hardware/fci) at a robot's own pace. Where the tool
ends is taken from the server's own joints, not from what the client reports. No hardware is involved: what this shows
is the client libraries and our adapters, not the accuracy of a robot.
"""

import sys
import time

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.harness import ROOT, finish, summary
from casher_franka.arm import HOME_JOINTS
from casher_franka.kinematics import JOINT_RANGES, inverse, tcp_pose
from casher_perception.geometry import rotation_angle
from casher_policy.action import ACTION_NAMES, Action, Target, decode

POSES = 10
REACH_M = (0.10, 0.20, 0.10)
"""Poses are so far from home at most, along x, y, z."""
TILT_RAD = 0.3
MARGIN_RAD = 0.2
"""Kept from the ends of the joints' ranges: panda_py pushes away from them."""
RANGES = tuple(JOINT_RANGES.values())
NEAR_M, NEAR_DEG = 1e-3, 0.2
VERSION = {"fr3": 10, "panda": 5}


def poses(rng):
    """-> POSES x (4, 4), the first is home; from the others, too, both arms reach what the actions ask for."""
    T_home = tcp_pose(np.array(HOME_JOINTS))
    found = [T_home]
    while len(found) < POSES:
        T = T_home.copy()
        T[:3, 3] += rng.uniform(-1.0, 1.0, 3) * REACH_M
        T[:3, :3] = T[:3, :3] @ Rotation.from_rotvec(rng.uniform(-1.0, 1.0, 3) * TILT_RAD).as_matrix()
        ends = np.concatenate([T[None], decode(np.arange(14), np.tile(T, (14, 1, 1)), np.zeros(14)).T_base_tcp])
        q, reached = inverse(ends, np.tile(HOME_JOINTS, (15, 1)))
        if reached.all() and all(((q > low + MARGIN_RAD) & (q < high - MARGIN_RAD)).all() for low, high in RANGES):
            found.append(T)
    return found


def run(kind, fci_server, open_arm, config_class):
    """All actions of one arm -> list of rows: action, error [m], error [deg], wall time and robot's time [ms]."""
    rows = []
    with fci_server(version=VERSION[kind]) as robot:
        arm = open_arm(config_class(robot.host, realtime="ignore"))
        try:
            arm.home()
            for T in poses(np.random.default_rng(0)):
                arm.move_to(Target(T, np.float64(arm.state().width_command)))
                for action in Action:
                    rows.append((ACTION_NAMES[action], *_act(arm, robot, action)))
        finally:
            arm.close()
    return rows


def _act(arm, robot, action):
    state = arm.state()
    target = decode(int(action), state.T_base_tcp, state.width_command)
    begin_s, clock_s = time.perf_counter(), robot.state()["clock_s"]
    arm.move_to(target)
    wall_ms = 1e3 * (time.perf_counter() - begin_s)
    truth = robot.state()
    T = tcp_pose(truth["q"])
    error_m = np.linalg.norm(T[:3, 3] - target.T_base_tcp[:3, 3])
    error_deg = np.degrees(rotation_angle(T[:3, :3].T @ target.T_base_tcp[:3, :3]))
    return float(error_m), float(error_deg), wall_ms, 1e3 * (truth["clock_s"] - clock_s)


def detail(rows):
    """Counts, worst errors and times of one arm's rows; moves and fingers apart."""
    errors_m, errors_deg = (np.array([row[i] for row in rows]) for i in (1, 2))
    within = (errors_m < NEAR_M) & (errors_deg < NEAR_DEG)
    moves = [row for row in rows if row[0] not in ("open", "close")]
    fingers = [row for row in rows if row[0] in ("open", "close")]
    return {
        "within": int(within.sum()),
        "actions": len(rows),
        "worst_mm": round(1e3 * float(errors_m.max()), 4),
        "worst_deg": round(float(errors_deg.max()), 4),
        "p50_mm": round(1e3 * float(np.median(errors_m)), 4),
        "move_wall": summary(np.array([row[3] for row in moves])),
        "move_robot_clock": summary(np.array([row[4] for row in moves])),
        "fingers_wall": summary(np.array([row[3] for row in fingers])),
    }


def main():
    sys.path.insert(0, str(ROOT / "tests" / "hardware"))
    from fci.process import fci_server

    from casher_franka import franky_arm, panda_arm
    from casher_franka.franka_config import FrankaConfig

    arms = {"fr3": franky_arm.open_arm, "panda": panda_arm.open_arm}
    results = {kind: detail(run(kind, fci_server, open_arm, FrankaConfig)) for kind, open_arm in arms.items()}
    least = min(result["within"] for result in results.values())
    return finish(
        "arm_actions",
        least,
        "actions of 140 within 1 mm and 0.2 deg, the worse of franky and panda_py",
        "140",
        least == POSES * len(Action),
        results,
    )

"""Which poses the arm is to take: first small turns where it stands, then those that tell most."""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_calibration.information import Measure

CANDIDATES = 250
_TRIES, _ROUNDS = 4000, 6
SPREAD_M = np.array([0.25, 0.30, 0.25])
SPREAD_RAD = np.array([0.8, 0.8, 1.2])
"""How far a candidate may be from the start: along base's axes, about the tool's."""
_FIRST = np.deg2rad(14.0) * np.array([[0, 0, 0], [1, 0, 0], [-1, 0.6, 0], [0, -1, 0], [0.4, 1, 0.9], [0, -0.5, -1]])
"""Turns about the tool's axes."""


def first_poses(T_base_tcp):
    """The pose (4, 4) and small turns about it -> (6, 4, 4): enough for a rough calibration."""
    T = np.tile(np.asarray(T_base_tcp, float), (len(_FIRST), 1, 1))
    T[:, :3, :3] = T[:, :3, :3] @ Rotation.from_rotvec(_FIRST).as_matrix()
    return T


def candidates(measure, reach, joints, T_start, rng, n=CANDIDATES, T_middle=None):
    """Up to n poses around T_middle (4, 4) (None: T_start) to which it is straight from T_start with its joints (7,)
    and in which every camera sees the board -> joints (S, 7), T_base_tcp (S, 4, 4)."""
    found_q, found_T, count = [np.zeros((0, 7))], [np.zeros((0, 4, 4))], 0
    for _ in range(_ROUNDS):
        T = np.tile(np.asarray(T_start if T_middle is None else T_middle, float), (_TRIES, 1, 1))
        T[:, :3, 3] += rng.uniform(-1.0, 1.0, (_TRIES, 3)) * SPREAD_M
        T[:, :3, :3] = T[:, :3, :3] @ Rotation.from_rotvec(rng.uniform(-1.0, 1.0, (_TRIES, 3)) * SPREAD_RAD).as_matrix()
        T = T[measure.visible(T).all(axis=1)][: 2 * n]
        if len(T):
            q, words = reach.ways(joints, T_start, T)
            found_q.append(q[words == ""])
            found_T.append(T[words == ""])
            count += len(found_q[-1])
        if count >= n:
            break
    return np.concatenate(found_q)[:n], np.concatenate(found_T)[:n]


def choose(measure, information, n, taken=None):
    """Greedily the n of the poses with this information (S, P, P) that make the expected error smallest.

    taken: (P, P) information of the poses that were taken already. -> (indices, expected error [m] after each).
    """
    total = measure.prior() + (0.0 if taken is None else taken)
    left, chosen, errors = list(range(len(information))), [], []
    while left and len(chosen) < n:
        expected = measure.error_m(total + information[left])
        best = int(np.argmin(expected))
        errors.append(float(expected[best]))
        chosen.append(left.pop(best))
        total = total + information[chosen[-1]]
    return chosen, errors


def tour(joints, start):
    """Order of visiting joints (S, 7) from start (7,), always on to the nearest -> list of indices."""
    order, at, left = [], np.asarray(start), list(range(len(joints)))
    while left:
        order.append(min(left, key=lambda i: np.abs(joints[i] - at).max()))
        left.remove(order[-1])
        at = joints[order[-1]]
    return order


def measure_of(session, estimate, workspace):
    """Session and its Estimate -> Measure."""
    intrinsics = {name: session.cameras[name].intrinsics for name in estimate.T_base_camera}
    return Measure(session.board, intrinsics, estimate.T_base_camera, estimate.T_gripper_board, workspace)

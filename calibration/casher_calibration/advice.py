"""Which motion of the arm would reduce the cameras' uncertainty most, and what no motion can reduce."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from casher_calibration.joint_model import Arm, Corners, predict
from casher_calibration.uncertainty import camera_covariance
from casher_franka.kinematics import flange_pose, joint_axes
from casher_perception.geometry import inverse

_TURN_RAD = np.deg2rad(30.0)
_SHIFT_M = 0.15
_FOR_EVER = 1000
_TIMES = 3
"""An advised pose counts like that many samples near it."""
_INSIDE_PX = 12.0
_STEEPEST = np.cos(np.deg2rad(62.0))


def advise(data, result, options):
    """-> [sentence], the most useful motion first; [] when no camera would see the board after any of them."""
    fit = result.fit
    before = camera_covariance(data, result, options)
    worst = int(np.argmax([_sigma_m(before, k) for k in range(len(data.names))]))
    tried = []
    everything = np.linalg.inv(fit.covariance)
    for name, T, joints in _candidates(data, result):
        gain = _information(data, result, T, joints)
        if gain is None:
            continue
        everything += _FOR_EVER * gain
        after = np.linalg.inv(np.linalg.inv(fit.covariance) + _TIMES * gain)
        tried.append((_sigma_m(camera_covariance(data, result, options, after), worst), name))
    if not tried:
        return []
    start = _sigma_m(before, worst)
    tried.sort()
    camera = data.names[worst]
    found = [
        f"{camera} is known to {1e3 * start:.2f} mm (standard deviation in its worst direction); {_TIMES} samples with "
        f"the gripper {name} would make it {1e3 * sigma:.2f} mm"
        for sigma, name in tried[:3]
        if sigma < 0.99 * start
    ]
    floor = _sigma_m(camera_covariance(data, result, options, np.linalg.inv(everything)), worst)
    if floor > 0.5 * start:
        found.append(
            f"of the {1e3 * start:.2f} mm of {camera}, {1e3 * floor:.2f} mm come from joint offsets that move "
            "everything alike, the first joint's above all: no motion reduces them"
        )
    return found


def _sigma_m(covariance, camera):
    at = slice(6 * camera, 6 * camera + 3)
    return float(np.sqrt(np.linalg.eigvalsh(covariance[at, at])[-1]))


def _candidates(data, result):
    """(what to do, T_base_gripper (4, 4), its joints (7,) or None)"""
    T = data.arm.T_base_gripper
    used = sorted({data.views[v].row for v in np.flatnonzero(result.used)})
    middle = np.median(T[used, :3, 3], axis=0)
    row = min(used, key=lambda r: float(np.linalg.norm(T[r, :3, 3] - middle)))
    start = ", ".join(f"{value:.2f}" for value in T[row, :3, 3])
    for turn_name, turn in _either_way(_TURN_RAD, "turned by {}30 deg about its {} axis"):
        for shift_name, shift in _either_way(_SHIFT_M, "15 cm towards {}{} of the base"):
            moved = T[row].copy()
            moved[:3, 3] += shift
            moved[:3, :3] = moved[:3, :3] @ Rotation.from_rotvec(turn).as_matrix()
            joints = None if data.joints is None else _joints_at(moved, T[row], data.joints[row])
            if (turn_name or shift_name) and (data.joints is None or joints is not None):
                what = " and ".join(part for part in (turn_name, shift_name) if part)
                yield f"{what}, from where it was in sample {data.indices[row]}, ({start}) m,", moved, joints


def _either_way(size, text):
    """("", 0) and both ways along each axis: (name, vector (3,))."""
    yield "", np.zeros(3)
    for axis, name in enumerate("xyz"):
        for sign in (1.0, -1.0):
            yield text.format("+" if sign > 0 else "-", name), sign * size * np.eye(3)[axis]


def _joints_at(T_base_gripper, T_near, q_near):
    """Joints (7,) that bring the gripper there, from those of a pose nearby; None when Newton's method finds none."""
    T_flange_gripper = inverse(flange_pose(q_near)) @ T_near
    q = q_near.copy()
    for _ in range(20):
        T = flange_pose(q) @ T_flange_gripper
        turn = Rotation.from_matrix(T_base_gripper[:3, :3] @ T[:3, :3].T).as_rotvec()
        error = np.concatenate([T_base_gripper[:3, 3] - T[:3, 3], turn])
        if np.abs(error).max() < 1e-4:
            return q
        axes, anchors = joint_axes(q)
        J = np.concatenate([np.cross(axes, T[:3, 3] - anchors), axes], axis=1).T
        q = q + np.clip(J.T @ np.linalg.solve(J @ J.T + 1e-4 * np.eye(6), error), -0.3, 0.3)
    return None


def _information(data, result, T, joints):
    """(G, G) that one more sample at T adds, its own pose error eliminated; None when no camera sees the board."""
    state, arm = result.fit.state, data.arm
    axes, anchors = (None, None) if joints is None else joint_axes(joints[None])
    one = Arm(T[None], axes, anchors, arm.eye_in_hand)
    mover = inverse(T) if arm.eye_in_hand else T
    slots = [slot for camera, slot in enumerate(result.last_slot) if _sees(data, mover, state, slot, camera)]
    if not slots:
        return None
    n = len(data.points)
    corners = Corners(
        np.zeros(n * len(slots), dtype=int),
        np.repeat(slots, n),
        np.tile(data.points, (len(slots), 1)),
        np.zeros((n * len(slots), 2)),
    )
    _, J, J_pose = predict(corners, one, data.cameras, result.slot_camera, replace(state, poses=np.zeros((1, 6))))
    noise = result.fit.noise
    rows, own = J.reshape(-1, J.shape[2]) / noise.corner_px, J_pose.reshape(-1, 6) / noise.corner_px
    block = own.T @ own + np.diag(np.repeat([noise.pose_m, noise.pose_rad], 3) ** -2.0)
    cross = rows.T @ own
    return rows.T @ rows - cross @ np.linalg.solve(block, cross.T)


def _sees(data, mover, state, slot, camera):
    T = inverse(state.X[slot]) @ mover @ state.Z
    points = data.points @ T[:3, :3].T + T[:3, 3]
    if points[:, 2].min() < 0.2:
        return False
    pixels = points[:, :2] / points[:, 2:] * data.cameras[camera, :2] + data.cameras[camera, 2:]
    sight = points.mean(axis=0)
    facing = T[:3, 2] @ sight / np.linalg.norm(sight)
    return bool((pixels > _INSIDE_PX).all() and (pixels < data.sizes[camera] - _INSIDE_PX).all() and facing > _STEEPEST)

"""From views to a fit: starts, joint solving, the search for outliers and moved cameras, in turn until they agree."""

from dataclasses import dataclass, replace

import numpy as np

from casher_calibration.closed_form import MIN_POSES, consensus, distances, mean_pose, methods
from casher_calibration.joint_model import Arm, Corners, State, arm_poses, perturbed
from casher_calibration.joint_solve import Fit, Noise, fit
from casher_calibration.outliers import Witness, common_offset, find_move, unfit, witness
from casher_calibration.solution import SolveError
from casher_calibration.views import seen_poses
from casher_franka.kinematics import flange_pose, joint_axes
from casher_perception.geometry import inverse, rotation_angle

_START_NOISE_PX = 0.3
_WITHOUT_JOINTS_M, _WITHOUT_JOINTS_RAD = 6e-4, 8e-4
"""What joint offsets do to a pose where the joint angles are not known, so cannot be modelled."""
_ROUNDS = 6


@dataclass(frozen=True, eq=False)
class Data:
    """A session as arrays."""

    names: list
    """Of the cameras."""
    cameras: np.ndarray
    """(K, 4) fx, fy, cx, cy."""
    arm: Arm
    points: np.ndarray
    """(corners of the board, 3) [m]."""
    views: list
    """[View] ordered by sample."""
    joints: np.ndarray | None
    """(S, 7) [rad] as reported, where every sample has them."""
    sizes: np.ndarray
    """(K, 2) width and height of the images."""
    indices: list
    """Of the samples."""

    @property
    def has_joints(self):
        return self.joints is not None


@dataclass(frozen=True, eq=False)
class Result:
    """A fit and what it rests on."""

    fit: Fit
    slot: np.ndarray
    """(V,) of each view: a camera between two of its moves."""
    slot_camera: np.ndarray
    """(C,)"""
    last_slot: np.ndarray
    """(K,) of each camera: where it stands now."""
    used: np.ndarray
    """(V,) bool."""
    starts: list
    """(camera, method, X) of the closed-form methods."""


def data_of(session, views, options):
    """Session and its views -> Data. SolveError when joint angles and poses contradict each other."""
    samples = session.samples
    T = np.array([sample.T_base_gripper for sample in samples])
    q = axes = anchors = None
    if options.joint_offsets and all(sample.joints is not None for sample in samples):
        q = np.array([sample.joints for sample in samples])
        _require_consistent(T, q, samples)
        axes, anchors = joint_axes(q)
    factory = [camera.intrinsics for camera in session.cameras.values()]
    return Data(
        list(session.cameras),
        np.array([[k.fx, k.fy, k.cx, k.cy] for k in factory]),
        Arm(T, axes, anchors, session.eye_in_hand),
        session.board.corners(),
        views,
        q,
        np.array([[k.width, k.height] for k in factory]),
        [sample.index for sample in samples],
    )


def _require_consistent(T, q, samples):
    T_flange_gripper = inverse(flange_pose(q)) @ T
    middle = mean_pose(T_flange_gripper)
    apart = np.linalg.norm(T_flange_gripper[:, :3, 3] - middle[:3, 3], axis=1)
    turn = rotation_angle(middle[:3, :3].T @ T_flange_gripper[:, :3, :3])
    if (apart > 0.02).mean() > 0.3 or (turn > np.deg2rad(3)).mean() > 0.3:
        worst = samples[int(np.argmax(apart + turn))].index
        raise SolveError(
            f"joint angles and poses contradict each other (most in sample {worst}, {1e3 * apart.max():.0f} mm): state "
            "the joints in radians, in order from the base, and poses as T_base_gripper of the same moment; or leave "
            "out the joints"
        )


def solve_views(data, options):
    """Data -> Result."""
    M = inverse(data.arm.T_base_gripper) if data.arm.eye_in_hand else data.arm.T_base_gripper
    slot, slot_camera = np.array([view.camera for view in data.views]), np.arange(len(data.names))
    views, used, X, Z, starts = _starts(data, M, slot)
    data = replace(data, views=views)
    state = State(X, Z, np.zeros((len(data.names), 4)), np.zeros(7), 0.0, np.zeros((len(M), 6)))
    stated = Noise(_START_NOISE_PX, options.pose_m, options.pose_rad)
    if not data.has_joints:
        stated = replace(
            stated,
            pose_m=float(np.hypot(options.pose_m, _WITHOUT_JOINTS_M)),
            pose_rad=float(np.hypot(options.pose_rad, _WITHOUT_JOINTS_RAD)),
        )
    result, known = None, set()
    for _ in range(_ROUNDS):
        found = run_fit(data, slot, slot_camera, used, state, stated, options, rounds=2)
        result = Result(found, slot, slot_camera, _last(slot, slot_camera, data), used, starts)
        if not options.reject_outliers:
            break
        slot, slot_camera, state = _slots(data, result)
        used = _fitting(data, slot, state, found.noise, used)
        # the same again, or a cycle: nothing more to learn
        key = (slot.tobytes(), used.tobytes())
        if key in known or (np.array_equal(used, result.used) and np.array_equal(slot, result.slot)):
            break
        known.add(key)
    found = run_fit(data, result.slot, result.slot_camera, result.used, result.fit.state, stated, options, rounds=5)
    return data, replace(result, fit=found)


def run_fit(data, slot, slot_camera, used, state, noise, options, rounds):
    """Joint fit of the views `used`. SolveError when they leave something undetermined."""
    chosen = np.flatnonzero(used)
    views = [data.views[v] for v in chosen]
    count = [len(view.ids) for view in views]
    corners = Corners(
        np.repeat([view.row for view in views], count),
        np.repeat(slot[chosen], count),
        np.concatenate([data.points[view.ids] for view in views]),
        np.concatenate([view.pixels for view in views]),
    )
    try:
        return fit(corners, data.arm, data.cameras, slot_camera, state, noise, options, rounds)
    except np.linalg.LinAlgError:
        raise SolveError(
            "the poses leave a camera undetermined: turn the gripper about two axes by 20 deg or more, and let every "
            "camera see the board in at least 3 samples"
        ) from None


def mover_poses(data, state):
    """M (S, 4, 4) as the fit corrects the arm: joint offsets, but not each pose's own error."""
    T = arm_poses(data.arm, replace(state, poses=np.zeros_like(state.poses)))
    return inverse(T) if data.arm.eye_in_hand else T


def view_witness(data, slot, state, noise):
    """Witness of every view about its slot."""
    M = mover_poses(data, state)
    B = seen_poses(data.views, state.intrinsics)
    return witness(data.views, B, state.X[slot], state.Z, M, data.arm.T_base_gripper, data.arm.eye_in_hand, noise)


def _starts(data, M, slot):
    """Closed-form starts -> views (flips put right), used (V,), X (C, 4, 4), Z, [(camera, method, X)]."""
    rng = np.random.default_rng(0)
    views, used = list(data.views), np.zeros(len(data.views), dtype=bool)
    X, Zs, starts = [], [], []
    for camera, name in enumerate(data.names):
        mine = np.flatnonzero(slot == camera)
        Mc, B = M[[views[v].row for v in mine]], np.array([views[v].T_camera_board for v in mine])
        Xc, Zc, inside = consensus(Mc, B, rng)
        for place, v in enumerate(mine):
            flipped = views[v].T_flipped
            if flipped is not None and not inside[place]:
                turned = distances(Xc, Zc, Mc[place : place + 1], flipped[None])
                if turned[0] + 0.15 * turned[1] < 0.01:
                    views[v], inside[place] = replace(views[v], T_camera_board=flipped), True
                    B[place] = flipped
        if inside.sum() < MIN_POSES:
            raise SolveError(
                f"{name}: no {MIN_POSES} views of the board fit together: check that every pose belongs to its image, "
                "that poses are T_base_gripper in metres, and that the board is fixed to the gripper"
            )
        used[mine] = inside
        X.append(Xc)
        Zs.append((int(inside.sum()), Zc))
        starts += [(name, method, pair[0]) for method, pair in methods(Mc[inside], B[inside]).items()]
    return views, used, np.array(X), max(Zs, key=lambda pair: pair[0])[1], starts


def _slots(data, result):
    """Each camera's views divided anew at the moves that are seen now -> slot (V,), slot_camera (C,), state."""
    state = result.fit.state
    camera_of, row_of = (np.array([getattr(view, key) for view in data.views]) for key in ("camera", "row"))
    strange = _strange_samples(data, result.slot, state, result.fit.noise)
    least = (0.001, np.deg2rad(0.1)) if data.has_joints else (0.004, np.deg2rad(0.4))
    # about one place each, so that a division that was wrong closes again
    last = result.last_slot[camera_of]
    found = view_witness(data, last, state, result.fit.noise)
    slot, X = camera_of.copy(), [state.X[result.last_slot[k]] for k in range(len(data.names))]
    slot_camera = list(range(len(data.names)))
    pieces = [np.flatnonzero((camera_of == k) & ~np.isin(row_of, list(strange))) for k in range(len(data.names))]
    while pieces:
        mine = pieces.pop()
        first = find_move(Witness(found.offset[mine], found.covariance[mine]), *least)
        if first is None:
            continue
        camera, number = camera_of[mine[0]], slot[mine[0]]
        parts = mine[:first], mine[first:]
        slot[(slot == number) & (row_of >= row_of[mine[first]])] = len(X)
        for part, place in zip(parts, (number, len(X)), strict=True):
            offset, _ = common_offset(Witness(found.offset[part], found.covariance[part]))
            moved = perturbed(state.X[result.last_slot[camera]][None], offset[None])[0]
            X[place:] = [moved] if place == len(X) else [moved, *X[place + 1 :]]
        slot_camera.append(camera)
        pieces += parts
    return slot, np.array(slot_camera), replace(state, X=np.array(X))


def _fitting(data, slot, state, noise, used):
    """(V,) bool: views to use in the next fit."""
    found = view_witness(data, slot, state, noise)
    bad = unfit(found, used)
    bad |= np.isin([view.row for view in data.views], list(_strange_samples(data, slot, state, noise)))
    for place in range(len(state.X)):
        if (~bad[slot == place]).sum() < 2:  # nothing is known of this place: let the fit tell
            bad[slot == place] = False
    return ~bad


def _strange_samples(data, slot, state, noise):
    """Rows of the samples in which every camera, of two or more, disagrees with the arm in the same way."""
    found = view_witness(data, slot, state, noise)
    bad = unfit(found, np.ones(len(slot), dtype=bool))
    rows = np.array([view.row for view in data.views])
    strange = set()
    for row in np.unique(rows[bad]):
        mine = np.flatnonzero(rows == row)
        if len(mine) > 1 and bad[mine].all() and agree(data, slot, state, mine):
            strange.add(int(row))
    return strange


def agree(data, slot, state, mine):
    """Whether the cameras of these views place the board at the same spot, nearer to each other than to the arm's."""
    seen = state.X[slot[mine]] @ seen_poses([data.views[v] for v in mine], state.intrinsics)
    arm = mover_poses(data, state)[data.views[mine[0]].row] @ state.Z
    middle = data.points.mean(axis=0)

    def apart(a, b):
        return np.linalg.norm((a - b)[..., :3, :3] @ middle + (a - b)[..., :3, 3], axis=-1) + 0.1 * rotation_angle(
            np.swapaxes(a[..., :3, :3], -1, -2) @ b[..., :3, :3]
        )

    return apart(seen[1:], seen[:1]).max() < 0.35 * apart(seen, arm).min()


def _last(slot, slot_camera, data):
    """(K,) the slot of each camera's latest view."""
    return np.array([slot[np.flatnonzero(slot_camera[slot] == k)[-1]] for k in range(len(data.names))])

"""Whether the arm may go straight to a pose with the board in its gripper: ranges, box, worktop, itself."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from casher_franka.arm_shape import CAPSULES, capsule_ends, self_clearance, table_clearance
from casher_franka.kinematics import JOINT_RANGES, inverse

JOINT_MARGIN_RAD, LEAST_MARGIN_RAD = 0.1, 0.03
SELF_M, TABLE_M = 0.02, 0.03
"""Parts of the arm keep this far from each other, arm and board from the worktop ..."""
BOARD_M = 0.03
"""... and the board from the arm."""
STEP_M, STEP_RAD = 0.03, 0.1
"""Between two poses of the way that are looked at."""
JUMP_RAD = 0.5
"""A joint that turns further in one such step passes a singularity."""
_ARM = np.array([link not in ("link6", "link7", "tcp") for link, *_ in CAPSULES])
_RADIUS = np.array([radius for *_, radius in CAPSULES])[_ARM]


@dataclass(frozen=True, eq=False)
class Reach:
    """The bounds in one kitchen."""

    low: tuple
    """(3,) [m], corner of the box of the tcp in base."""
    high: tuple
    table_m: float
    """Height of the worktop."""
    robot: str
    """fr3 or panda."""
    outline: np.ndarray
    """(K, 3) [m] points of the board's edge and middle in the tcp frame; (0, 3) while it is not known."""

    def wrong(self, joints, T_base_tcp, margin_rad=JOINT_MARGIN_RAD):
        """Joints [rad] (B, 7) and poses (B, 4, 4) -> (B,) str: empty, or the first bound that is passed."""
        low, high = JOINT_RANGES[self.robot]
        ends = capsule_ends(joints)
        p = T_base_tcp[:, :3, 3]
        outside = ((p < self.low) | (p > self.high)).any(axis=1)
        board = np.einsum("bij,kj->bki", T_base_tcp[:, :3, :3], self.outline) + T_base_tcp[:, None, :3, 3]
        low_board = (board[..., 2] < self.table_m + TABLE_M).any(axis=1)
        found = np.full(len(joints), "", dtype=object)
        for words, broken in (
            ("the board would touch the arm", self._board_near(ends, board)),
            ("the board would come too near to the worktop", low_board),
            ("the arm would come too near to the worktop", table_clearance(ends, self.table_m, self.table_m) < TABLE_M),
            ("the arm would come too near to itself", self_clearance(ends) < SELF_M),
            ("the tool would leave the kitchen's workspace box", outside),
            (
                "a joint would come to the end of its range",
                ((joints < low + margin_rad) | (joints > high - margin_rad)).any(axis=1),
            ),
        ):
            found[broken] = words
        return found

    def way(self, joints, T_from, T_to):
        """Straight from T_from (4, 4) with these joints (7,) to T_to -> (joints there (7,), "" or what forbids it)."""
        q, words = self.ways(joints, T_from, np.asarray(T_to)[None])
        return q[0], words[0]

    def ways(self, joints, T_from, T_to):
        """The same to each of T_to (B, 4, 4) -> (joints (B, 7), (B,) str).

        An arm that stands nearer to the end of a joint's range than it should may go wherever it does not get worse.
        """
        low, high = JOINT_RANGES[self.robot]
        left = float(np.minimum(joints - low, high - joints).min())
        margin = min(JOINT_MARGIN_RAD, max(left - 1e-3, LEAST_MARGIN_RAD))
        q, found = np.tile(np.asarray(joints, float), (len(T_to), 1)), np.full(len(T_to), "", dtype=object)
        for step in straight(T_from, T_to):
            open_ = np.flatnonzero(found == "")
            if not len(open_):
                break
            T = step[open_]
            ahead, reached = inverse(T, q[open_])
            lost = ~reached | (np.abs(ahead - q[open_]).max(axis=1) > JUMP_RAD)
            found[open_] = np.where(lost, "no joints near the present ones lead there", self.wrong(ahead, T, margin))
            q[open_] = ahead
        return q, found

    def _board_near(self, ends, board):
        """Whether a point of the board (B, K, 3) comes too near to the arm behind the wrist, (B,) bool."""
        if not board.shape[1]:
            return np.zeros(len(board), dtype=bool)
        a, b = ends[:, _ARM, 0][:, :, None], ends[:, _ARM, 1][:, :, None]
        along = b - a
        share = ((board[:, None] - a) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
        nearest = a + np.clip(share, 0.0, 1.0)[..., None] * along
        distance = np.linalg.norm(board[:, None] - nearest, axis=-1) - _RADIUS[:, None]
        return (distance < BOARD_M).any(axis=(1, 2))


def straight(T_from, T_to):
    """Poses on the straight ways from T_from (4, 4) to each of T_to (B, 4, 4) -> (n, B, 4, 4), the last ones T_to."""
    T_from, T_to = np.asarray(T_from, float), np.asarray(T_to, float)
    along = T_to[:, :3, 3] - T_from[:3, 3]
    turn = Rotation.from_matrix(T_from[:3, :3].T @ T_to[:, :3, :3]).as_rotvec()
    most = max(np.linalg.norm(along, axis=1).max() / STEP_M, np.linalg.norm(turn, axis=1).max() / STEP_RAD, 2.0)
    ways = []
    for share in np.linspace(0.0, 1.0, int(np.ceil(most)) + 1)[1:]:
        T = np.tile(np.eye(4), (len(T_to), 1, 1))
        T[:, :3, :3] = T_from[:3, :3] @ Rotation.from_rotvec(share * turn).as_matrix()
        T[:, :3, 3] = T_from[:3, 3] + share * along
        ways.append(T)
    return np.array(ways)


def board_outline(board, T_gripper_board, margin_m=0.015):
    """Points (K, 3) [m] in the gripper's frame that stand for the board and its plate's rim."""
    width, height = board.size_m
    x, y = np.linspace(-margin_m, width + margin_m, 5), np.linspace(-margin_m, height + margin_m, 4)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    points = np.column_stack([grid, np.zeros(len(grid))])
    return points @ T_gripper_board[:3, :3].T + T_gripper_board[:3, 3]

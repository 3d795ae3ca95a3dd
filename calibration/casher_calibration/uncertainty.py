"""Covariance of the calibrated cameras, including what no residual shows."""

import numpy as np

BASE_TURN_RAD = float(np.deg2rad(0.05))
BASE_SHIFT_M = 7e-4
"""What joint offsets do to all poses alike, as seen at the base: cannot be told from moving the cameras. Used only
where the joint angles are not known; where they are, the joints' own prior says it better."""

LIKE_POSES_ERR_ALIKE = 2.0
"""How much less the samples say than if unmodelled joint offsets made their poses err independently (variance)."""


def camera_covariance(data, result, options, covariance=None):
    """(6 K, 6 K) of every camera's last slot: translation [m], rotation vector [rad], parent frame, about the camera.

    covariance: (G, G) of all global unknowns, that of the fit unless another is asked about.
    """
    last = result.last_slot
    at = np.concatenate([np.arange(6 * slot, 6 * slot + 6) for slot in last])
    covariance = (result.fit.covariance if covariance is None else covariance)[np.ix_(at, at)].copy()
    if data.has_joints or data.arm.eye_in_hand or options.joint_offset_rad <= 0:
        return covariance
    covariance *= LIKE_POSES_ERR_ALIKE
    lever = np.zeros((6 * len(last), 6))
    for k, slot in enumerate(last):
        lever[6 * k : 6 * k + 6] = base_lever(result.fit.state.X[slot])
    return covariance + lever @ np.diag(np.repeat([BASE_SHIFT_M, BASE_TURN_RAD], 3) ** 2) @ lever.T


def base_lever(T_base_camera):
    """(6, 6): how the camera moves when the base does, by (translation, rotation about the base's origin)."""
    lever = np.eye(6)
    lever[:3, 3:] = np.cross(np.eye(3), T_base_camera[:3, 3])
    return lever

"""Mass, centre and inertia of a rigid body made of pieces, for engines that would otherwise guess them from a mesh."""

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation


@dataclass(frozen=True, eq=False)
class MassProperties:
    """Of one rigid body, in its own frame."""

    mass: float
    """[kg]"""
    center: np.ndarray
    """(3,) [m]"""
    inertia: np.ndarray
    """(3, 3) [kg m^2] about the centre, along the frame's axes."""

    def principal(self):
        """-> moments (3,) [kg m^2] and the rotation (3, 3) of their axes in the body's frame."""
        moments, axes = np.linalg.eigh(self.inertia)
        axes[:, 2] *= np.sign(np.linalg.det(axes))
        return moments, axes


def of_solid(vertices, faces, density):
    """A closed mesh, vertices (N, 3) [m] and faces (M, 3), filled with density [kg/m^3] -> MassProperties."""
    solid = trimesh.Trimesh(vertices, faces, process=False)
    solid.density = density
    return MassProperties(float(solid.mass), np.asarray(solid.center_mass), np.asarray(solid.moment_inertia))


def of_body(model, body):
    """A body of an MjModel -> MassProperties in the body's frame."""
    R = Rotation.from_quat(np.roll(model.body_iquat[body], -1)).as_matrix()
    inertia = R @ np.diag(model.body_inertia[body]) @ R.T
    return MassProperties(float(model.body_mass[body]), model.body_ipos[body].copy(), inertia)


def combined(pieces):
    """MassProperties, ... in one frame -> those of all of them together; overlaps count twice, as in MuJoCo."""
    mass = sum(piece.mass for piece in pieces)
    center = sum(piece.mass * piece.center for piece in pieces) / mass
    inertia = np.zeros((3, 3))
    for piece in pieces:
        d = piece.center - center  # the parallel axes' theorem
        inertia += piece.inertia + piece.mass * (d @ d * np.eye(3) - np.outer(d, d))
    return MassProperties(mass, center, inertia)

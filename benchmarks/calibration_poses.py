"""Poses chosen for what they tell against poses drawn at random from the same reachable ones: the solver's true errors.

The demo kitchen's cameras at 1280 x 720, an FR3 with joint offsets, wrong focal lengths and centres, corners with
0.15 px of noise. What is measured is how far the solved cameras put points of the workspace from where they are.
value is the ratio of the medians, random over chosen, at 15 samples.
"""

import dataclasses
import os
import sys

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.harness import ROOT, finish
from casher_calibration.board import Board
from casher_calibration.detection import Detection
from casher_calibration.information import CORNER_PX, Measure
from casher_calibration.kitchen_rig import rig_of
from casher_calibration.poses import candidates, choose
from casher_calibration.reach import Reach, board_outline
from casher_calibration.rehearsal import rehearsal
from casher_calibration.samples import Sample, Session, SessionCamera
from casher_calibration.solve import solve
from casher_franka.kinematics import tcp_pose
from casher_perception.geometry import inverse, transform

SEEDS = int(os.environ.get("SEEDS", "10"))
SAMPLES = (8, 15, 25)
ROUGH_M, ROUGH_RAD = 0.01, np.deg2rad(1.0)
"""How wrong the rough calibration is that the choice rests on."""
TARGET = 1.1


class Trial:
    """One arm, one board, two cameras, with errors of their own."""

    def __init__(self, seed):
        rig = rig_of(str(ROOT / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"))
        sized = {n: dataclasses.replace(m, width=1280, height=720) for n, m in rig.cameras.items()}
        self.rig, self.board, self.rng = dataclasses.replace(rig, cameras=sized), Board(), np.random.default_rng(seed)
        self.arm, self.cameras = rehearsal(self.rig, self.board, seed)
        self.Z = next(iter(self.cameras.values())).T_gripper_board
        self.box = (rig.workspace_low, rig.workspace_high)
        self.points = self.rng.uniform(*self.box, (200, 3))
        state = self.arm.state()
        rough = {name: self._rough(mount.T_base_camera) for name, mount in self.rig.cameras.items()}
        intrinsics = {name: camera.intrinsics for name, camera in self.cameras.items()}
        self.measure = Measure(self.board, intrinsics, rough, self._rough(self.Z), self.box)
        reach = Reach(*self.box, rig.workspace_low[2], "fr3", board_outline(self.board, self.Z))
        self.q, self.T = candidates(self.measure, reach, state.joint_positions, state.T_base_tcp, self.rng)
        sure = np.array([self._seen(q) is not None for q in self.q])
        self.q, self.T = self.q[sure], self.T[sure]

    def chosen(self, n):
        return choose(self.measure, self.measure.of(self.T, self.q), n)[0]

    def drawn(self, n):
        return self.rng.choice(len(self.q), n, replace=False)

    def error_m(self, indices):
        """Root mean square over the workspace and both cameras of the solution from these poses."""
        cameras = {name: SessionCamera(c.serial, c.intrinsics) for name, c in self.cameras.items()}
        session = Session(self.board, cameras, [], False, "demo")
        for number, i in enumerate(indices):
            session.samples.append(Sample(number, self.T[i], self._seen(self.q[i]), float(number), self.q[i]))
        found = solve(session).T_base_camera
        wrong = [
            transform(found[name] @ inverse(mount.T_base_camera), self.points) - self.points
            for name, mount in self.rig.cameras.items()
        ]
        return float(np.sqrt((np.concatenate(wrong) ** 2).sum(axis=1).mean()))

    def _seen(self, q):
        """{camera: Detection} at these reported joints, None when a camera does not see the whole board."""
        T_base_board, found = tcp_pose(q + self.arm.offsets) @ self.Z, {}
        for name, camera in self.cameras.items():
            T = inverse(self.rig.cameras[name].T_base_camera) @ T_base_board
            pixels = camera.true.project(transform(T, self.board.corners()))
            if not ((pixels > 2) & (pixels < [1277, 717])).all():
                return None
            noisy = pixels + self.rng.normal(0.0, CORNER_PX, pixels.shape)
            found[name] = Detection(np.arange(len(pixels)), noisy, 17)
        return found

    def _rough(self, T):
        T = np.array(T)
        T[:3, 3] += self.rng.normal(0.0, ROUGH_M / np.sqrt(3), 3)
        T[:3, :3] = Rotation.from_rotvec(self.rng.normal(0.0, ROUGH_RAD / np.sqrt(3), 3)).as_matrix() @ T[:3, :3]
        return T


def main():
    errors = {(how, n): [] for how in ("chosen", "drawn") for n in SAMPLES}
    for seed in range(SEEDS):
        trial = Trial(seed)
        for how, n in errors:
            errors[how, n].append(1e3 * trial.error_m(getattr(trial, how)(n)))
        print(seed, {f"{how} {n}": round(e[-1], 2) for (how, n), e in errors.items()}, file=sys.stderr, flush=True)
    middle = {f"{how}_{n}": round(float(np.median(e)), 3) for (how, n), e in errors.items()}
    worst = {f"{how}_{n}": round(float(np.percentile(e, 95)), 3) for (how, n), e in errors.items()}
    value = middle["drawn_15"] / middle["chosen_15"]
    detail = {"seeds": SEEDS, "median_mm": middle, "p95_mm": worst}
    return finish("calibration_poses", value, "times smaller error", f">= {TARGET:g}", value >= TARGET, detail)


if __name__ == "__main__":
    sys.exit(main())

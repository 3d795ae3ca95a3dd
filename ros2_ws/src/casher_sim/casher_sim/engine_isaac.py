"""An Engine of Isaac Lab 3 with Newton: the exported USD stages, several scenes side by side. Needs no Isaac Sim.

Runs in an environment of its own (docs/isaac.md), inside `isaaclab.app.launch_simulation`.
"""

import isaaclab.sim as sim_utils
import numpy as np
import torch
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg, AssetBaseCfg, RigidObjectCfg
from isaaclab.scene import InteractiveScene, InteractiveSceneCfg
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg
from isaaclab_newton.physics.newton_manager_cfg import NewtonShapeCfg

from casher_perception.geometry import pose_matrix, position_quat
from casher_policy.observation import FINGER_MAX_M
from casher_sim.engine import EngineState
from casher_sim.engine_mujoco import gripper_control
from casher_sim.robot import ARM_JOINTS, FINGER_JOINTS, TIMESTEP_S

SPACING_M = 8.0
"""Between two scenes: kitchens are up to 3 m wide."""


def physics():
    """The settings of robot.py, in Isaac Lab's words."""
    solver = MJWarpSolverCfg(
        cone="elliptic", impratio=50.0, integrator="implicitfast", tolerance=1e-8, njmax=400, nconmax=150
    )
    # a gap would let things touch before they meet
    return NewtonCfg(solver_cfg=solver, use_cuda_graph=False, default_shape_cfg=NewtonShapeCfg(gap=0.0))


class IsaacEngine:
    """Implements engine.Engine."""

    def __init__(self, kitchen, thing, robot, size, physics_cfg, device="cpu"):
        """kitchen, thing, robot: paths of stages; physics_cfg: what launch_simulation made of `physics()`."""
        self._sim = sim_utils.SimulationContext(
            sim_utils.SimulationCfg(dt=TIMESTEP_S, device=device, physics=physics_cfg)
        )
        scene = InteractiveSceneCfg(num_envs=size, env_spacing=SPACING_M)
        scene.kitchen = AssetBaseCfg(
            prim_path="{ENV_REGEX_NS}/Kitchen",
            spawn=sim_utils.UsdFileCfg(usd_path=str(kitchen), variants={"collision": "hulls"}),
        )
        scene.object = RigidObjectCfg(
            prim_path="{ENV_REGEX_NS}/Object",
            spawn=sim_utils.UsdFileCfg(usd_path=str(thing), variants={"collision": "parts"}),
        )
        # stiffness and damping None: those of the USD file
        servos = {"all": ImplicitActuatorCfg(joint_names_expr=[".*"], stiffness=None, damping=None)}
        scene.robot = ArticulationCfg(
            prim_path="{ENV_REGEX_NS}/Robot",
            spawn=sim_utils.UsdFileCfg(usd_path=str(robot)),
            init_state=ArticulationCfg.InitialStateCfg(joint_pos={"fr3_joint4": -2.0, "fr3_joint6": 2.0}),
            actuators=servos,
        )
        self.size, self._device = size, device
        self._scene = InteractiveScene(scene)
        self._sim.reset()
        self._robot, self._object = self._scene["robot"], self._scene["object"]
        names = self._robot.joint_names
        self._arm = [names.index(name) for name in ARM_JOINTS]
        self._fingers = [names.index(name) for name in FINGER_JOINTS]

    def reset(self, joints, T_base_object):
        """See engine.Engine."""
        position, quat_xyzw = position_quat(T_base_object)
        pose = np.concatenate([position + self._origins(), quat_xyzw], axis=-1)
        q = self._targets(joints, np.full(self.size, 2 * FINGER_MAX_M))
        self._scene.reset()
        self._robot.write_joint_state_to_sim_index(position=q, velocity=torch.zeros_like(q))
        self._robot.set_joint_position_target_index(target=q)
        self._object.write_root_pose_to_sim_index(root_pose=self._tensor(pose))
        self._object.write_root_velocity_to_sim_index(root_velocity=self._tensor(np.zeros((self.size, 6))))
        self._scene.write_data_to_sim()

    def advance(self, joint_targets, width):
        """See engine.Engine."""
        for targets in joint_targets:
            self._robot.set_joint_position_target_index(target=self._targets(targets, gripper_control(width)))
            self._scene.write_data_to_sim()
            self._sim.step(render=False)
            self._scene.update(TIMESTEP_S)

    def state(self):
        """See engine.Engine."""
        q = self._robot.data.joint_pos.torch.cpu().numpy().astype(float)
        pose = self._object.data.root_link_pose_w.torch.cpu().numpy().astype(float)
        return EngineState(
            joints=q[:, self._arm],
            fingers=np.clip(q[:, self._fingers], 0.0, FINGER_MAX_M),
            T_base_object=pose_matrix(pose[:, :3] - self._origins(), pose[:, 3:]),
            object_velocity=self._object.data.root_link_vel_w.torch.cpu().numpy().astype(float)[:, :3],
        )

    def _targets(self, joints, distance):
        q = np.zeros((self.size, len(self._robot.joint_names)))
        q[:, self._arm] = joints
        q[:, self._fingers] = np.asarray(distance)[:, None] / 2
        return self._tensor(q)

    def _origins(self):
        origins = self._scene.env_origins
        return getattr(origins, "torch", origins).cpu().numpy().astype(float)

    def _tensor(self, array):
        return torch.tensor(np.asarray(array), dtype=torch.float32, device=self._device)

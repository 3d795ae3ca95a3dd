"""The SAPIEN side of sim_throughput: same scene, starts, actions, decode() and inverse kinematics, in PhysX on the CPU.

Run by a Python of its own with sapien: `python sapien_scene.py WORK.npz SCENE.mjb TIMESTEP_S`. The scene is read from
the compiled MuJoCo model: same links, masses, hulls, servos, kitchen and object. An action is as long as it was in
MuJoCo. Prints one line of JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import mujoco
import numpy as np
import sapien
from scipy.spatial import ConvexHull

from casher_franka.arm import HOME_JOINTS
from casher_policy.action import decode
from casher_sim import robot
from casher_sim.batch_kinematics import BatchKinematics

CHUNK_S, RAMP = 0.02, 0.8
"""Time between two targets of the drives; share of an action in which the target moves."""
LIFTED_M, SUNK_M = 0.015, 0.08
_Z_TO_X = (np.sqrt(0.5), 0.0, -np.sqrt(0.5), 0.0)


class SapienScene:
    """One arm, kitchen and object in a scene of its own."""

    def __init__(self, model, folder, timestep_s):
        self.model, self.folder = model, folder
        self.system = sapien.physx.PhysxCpuSystem()
        self.system.timestep = timestep_s
        self.scene = sapien.Scene([self.system])
        self.arm = self._robot()
        self._static()
        self.object = self._object()

    def _robot(self):
        model, links = self.model, {}
        builder = self.scene.create_articulation_builder()
        fingers = [model.body(name).id for name in ("left_finger", "right_finger")]
        for body in range(1, model.nbody):
            if model.body_rootid[body] != model.body_rootid[fingers[0]]:
                continue
            parent = links.get(model.body_parentid[body])
            link = links[body] = builder.create_link_builder(parent)
            link.set_name(model.body(body).name)
            link.set_mass_and_inertia(
                max(model.body_mass[body], 1e-3),
                sapien.Pose(model.body_ipos[body], model.body_iquat[body]),
                np.maximum(model.body_inertia[body], 1e-6),
            )
            self._joint(link, body)
            self._geoms(link, body)
        arm = builder.build(fix_root_link=True)
        for link in arm.links:
            link.disable_gravity = True
            for shape in link.collision_shapes:
                shape.set_collision_groups([1, 1, 2, 0])  # links do not collide with each other
        self.drives = {joint.name: joint for joint in arm.active_joints}
        for joint in arm.active_joints:
            dof = model.jnt_dofadr[model.joint(joint.name).id]
            joint.set_armature([model.dof_armature[dof]])
            if joint.name in robot.ARM_JOINTS:
                actuator = model.actuator(joint.name).id
                gain, damping = model.actuator_gainprm[actuator, 0], -model.actuator_biasprm[actuator, 2]
                joint.set_drive_properties(gain, damping, 1e4, "force")
            else:
                # One actuator pulls both fingers: each gets half of its force.
                hand = model.actuator(robot.GRIPPER).id
                kp, kd = -model.actuator_biasprm[hand, 1:3] / 2
                joint.set_drive_properties(kp, kd, model.actuator_forcerange[hand, 1] / 2, "force")
        return arm

    def _joint(self, link, body):
        model = self.model
        at = sapien.Pose(model.body_pos[body], model.body_quat[body])
        if model.body_jntnum[body] == 0:
            link.set_joint_properties("fixed", np.zeros((0, 2)), at, sapien.Pose())
            return
        joint = model.body_jntadr[body]
        turn = sapien.Pose(model.jnt_pos[joint], _x_to(model.jnt_axis[joint]))
        hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
        link.set_joint_name(model.joint(joint).name)
        link.set_joint_properties(
            "revolute" if hinge else "prismatic", model.jnt_range[joint][None], at * turn, turn, 0.0, 0.0
        )

    def _geoms(self, builder, body):
        model = self.model
        for geom in range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body]):
            if model.geom_contype[geom] == 0:
                continue
            pose, size = sapien.Pose(model.geom_pos[geom], model.geom_quat[geom]), model.geom_size[geom]
            slip = float(model.geom_friction[geom, 0])
            material = sapien.physx.PhysxMaterial(slip, slip, 0.0)
            kind = model.geom_type[geom]
            if kind == mujoco.mjtGeom.mjGEOM_BOX:
                builder.add_box_collision(pose, size, material, 0.0)
            elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
                builder.add_cylinder_collision(pose * sapien.Pose([0, 0, 0], _Z_TO_X), size[0], size[1], material, 0.0)
            elif kind == mujoco.mjtGeom.mjGEOM_MESH:
                builder.add_convex_collision_from_file(
                    self._hull(model.geom_dataid[geom]), pose, [1, 1, 1], material, 0.0
                )
            else:
                raise ValueError(f"geom {geom} has a shape that is not known here: {kind}")

    def _hull(self, mesh):
        path = self.folder / f"{mesh}.obj"
        if not path.exists():
            start, count = self.model.mesh_vertadr[mesh], self.model.mesh_vertnum[mesh]
            hull = ConvexHull(self.model.mesh_vert[start : start + count])
            lines = [f"v {x} {y} {z}" for x, y, z in hull.points]
            lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in hull.simplices]
            path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)

    def _static(self):
        builder, body = self.scene.create_actor_builder(), self.model.body("kitchen").id
        self._geoms(builder, body)
        builder.set_initial_pose(sapien.Pose(self.model.body_pos[body]))
        builder.build_static(name="kitchen")

    def _object(self):
        model, body = self.model, self.model.body("object").id
        builder = self.scene.create_actor_builder()
        self._geoms(builder, body)
        builder.set_mass_and_inertia(
            model.body_mass[body], sapien.Pose(model.body_ipos[body], model.body_iquat[body]), model.body_inertia[body]
        )
        return builder.build(name="object")


def _x_to(axis):
    """Quaternion wxyz that turns x onto a unit axis."""
    half = np.array([1.0, 0.0, 0.0]) + axis
    if np.linalg.norm(half) < 1e-6:
        return [0.0, 0.0, 0.0, 1.0]
    half /= np.linalg.norm(half)
    return [half[0], *np.cross([1.0, 0.0, 0.0], half)]


def main():
    work, model = np.load(sys.argv[1]), mujoco.MjModel.from_binary_path(sys.argv[2])
    kinematics, starts = BatchKinematics(model), work["objects"]
    timestep_s = float(sys.argv[3])
    chunk = round(CHUNK_S / timestep_s)
    actions, lengths, poses = work["actions"], work["physics_steps"], work["T_base_tcp"]
    with tempfile.TemporaryDirectory() as folder:
        scenes = [SapienScene(model, Path(folder), timestep_s) for _ in starts]
    names = [joint.name for joint in scenes[0].arm.active_joints]
    order = [names.index(name) for name in robot.ARM_JOINTS]
    drives = [[scene.drives[n] for n in robot.ARM_JOINTS] for scene in scenes]
    fingers = [[scene.drives[n] for n in robot.FINGER_JOINTS] for scene in scenes]
    for scene, start in zip(scenes, starts, strict=True):
        q = np.full(len(names), 0.04)
        q[order] = HOME_JOINTS
        scene.arm.set_qpos(q)
        scene.object.set_pose(sapien.Pose(start[:3], start[3:]))
    commanded, width = np.tile(HOME_JOINTS, (len(scenes), 1)), np.full(len(scenes), 0.08)
    measured = commanded.copy()
    T, off, highest = kinematics.forward(measured), [], starts[:, 2].copy()
    kinematics.inverse(T, measured, HOME_JOINTS)
    physics, begin = 0.0, time.process_time()
    for step, row in enumerate(actions):
        target = decode(row, poses[step], width)  # not from T: over a course the small differences would add up
        q, reached = kinematics.inverse(target.T_base_tcp, measured, HOME_JOINTS)
        q[~reached] = commanded[~reached]
        width = np.where(reached, target.width, width)
        for i, scene in enumerate(scenes):
            for drive in fingers[i]:
                drive.set_drive_target(float(width[i]) / 2 if width[i] > 0.0 else robot.GRASP_CONTROL / 2)
            steps = int(lengths[step, i] * robot.TIMESTEP_S / timestep_s + 0.5)
            for k in range(0, steps, chunk):
                way = commanded[i] + (q[i] - commanded[i]) * min(1.0, (k + chunk) / (RAMP * steps))
                for drive, value in zip(drives[i], way.tolist(), strict=True):
                    drive.set_drive_target(value)
                before = time.process_time()
                for _ in range(min(chunk, steps - k)):
                    scene.system.step()
                physics += time.process_time() - before
        commanded = q
        measured = np.array([scene.arm.get_qpos() for scene in scenes], dtype=np.float64)[:, order]
        objects = np.array([[*scene.object.pose.p, *scene.object.pose.q] for scene in scenes])
        highest = np.maximum(highest, objects[:, 2])
        T = kinematics.forward(measured)
        off.append(np.linalg.norm(T[:, :3, 3] - target.T_base_tcp[:, :3, 3], axis=1)[reached])
    seconds = time.process_time() - begin
    n = actions.size
    print(
        json.dumps(
            {
                "sapien": sapien.__version__,
                "policy_steps_per_cpu_s": round(n / seconds, 1),
                "physics_share": round(physics / seconds, 3),
                "tcp_off_mm_median": round(1e3 * float(np.median(np.concatenate(off))), 2),
                "lifted": float(np.mean(highest > starts[:, 2] + LIFTED_M)),
                "in_the_sink": float(np.mean(objects[:, 2] < starts[:, 2] - SUNK_M)),
                "finite": bool(np.isfinite(objects).all() and np.isfinite(measured).all()),
            }
        )
    )


if __name__ == "__main__":
    main()

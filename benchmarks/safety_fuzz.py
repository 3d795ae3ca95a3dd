"""A million fuzzed actions and states through the safety core: what it lets through is within the envelope.

CASHER_FUZZ_ACTIONS sets how many (1e6). A quarter each: a policy's actions from anywhere in the joints' ranges; the
same from about the start pose; targets that no action gives; states that are stale, torn or not finite. What the core
allows is then judged again: every row by plain inequalities; SAMPLE of those that move the arm by MuJoCo's kinematics
and the maker's meshes, at the joints the core found and at those MuJoCo's own solver finds along the tool's way. An arm
that is clear of itself and of the worktop must stay so.
"""

import dataclasses
import os
import time

import mujoco
import numpy as np

from benchmarks.harness import finish
from casher_franka.arm import HOME_JOINTS
from casher_franka.envelope import Envelope, Limits
from casher_franka.kinematics import JOINT_RANGES, tcp_pose
from casher_franka.safety import RULES, judge, way_to
from casher_policy.action import RELEASED, decode
from casher_sim import robot
from casher_sim.kinematics import Kinematics

CHUNK = 4000
SAMPLE = 2000
LOW, HIGH = JOINT_RANGES["fr3"]
ENVELOPE = Envelope(np.array([0.15, -0.65, -0.15]), np.array([0.85, 0.65, 0.85]), 0.02, LOW, HIGH)
LIMITS = Limits.of(RELEASED)
SLACK = 2e-4
"""[m, rad] the core allows noise."""
BASE = ("fr3_link0", "fr3_link1", "fr3_link2")
OUTER = ("fr3_link5", "fr3_link6", "fr3_link7", "hand", "left_finger", "right_finger")
FOREARM, HAND = (
    ("fr3_link3", "fr3_link4", "fr3_link5", "fr3_link6"),
    ("fr3_link7", "hand", "left_finger", "right_finger"),
)


def main():
    wanted = int(float(os.environ.get("CASHER_FUZZ_ACTIONS", "1e6")))
    rng, witness = np.random.default_rng(0), Witness()
    counts = np.zeros(len(RULES), dtype=np.int64)
    broken, kept, seconds, done = [], [], 0.0, 0
    for number in range(-(-wanted // CHUNK)):
        rows = draw(rng, number % 4, CHUNK)
        begin = time.process_time()
        found = judge(*rows.values(), ENVELOPE, LIMITS)
        seconds += time.process_time() - begin
        done += CHUNK
        counts += np.bincount(found.rule, minlength=len(RULES))
        allowed = found.rule == 0
        broken += plain(rows, allowed)
        moves = allowed & (rows["T_base_tcp"] != rows["T_measured"]).any(axis=(1, 2))
        few = rng.choice(np.flatnonzero(moves), min(int(moves.sum()), 40), replace=False) if moves.any() else []
        kept += [{name: values[i] for name, values in rows.items()} for i in few]
    sample = [kept[i] for i in rng.permutation(len(kept))[:SAMPLE]]
    witnessed = dict.fromkeys(("looked_at", "own_solver_gave_up", "began_inside"), 0)
    witnessed |= {"least_self_m": 1.0, "least_table_m": 1.0}
    for row in sample:
        broken += witness.look(row, witnessed)
    detail = {
        "actions": done,
        "verdicts": dict(zip(RULES, counts.tolist(), strict=True)),
        "microseconds_each": round(1e6 * seconds / done, 1),
        "second_opinion": witnessed,
        "envelope": {f.name: np.round(getattr(ENVELOPE, f.name), 4).tolist() for f in dataclasses.fields(ENVELOPE)},
        "broken": broken[:20],
    }
    print(detail)
    holds = not broken and done >= 1e6 and min(counts[[i for i, name in enumerate(RULES) if name != "measured"]]) > 0
    return finish("safety_fuzz", len(broken), "violations", "== 0 in 1e6", holds, detail)


def draw(rng, kind, n):
    """n rows of what `judge` is asked: dict of arrays in the order of its arguments."""
    q = rng.uniform(LOW, HIGH, (n, 7))
    if kind == 1:
        q = np.clip(np.array(HOME_JOINTS) + rng.normal(0.0, 0.5, (n, 7)), LOW, HIGH)
    measured, width = tcp_pose(q), rng.choice([0.0, 0.08], n)
    target = decode(rng.integers(0, 14, n), measured, width)
    T, width, age_s = target.T_base_tcp.copy(), np.array(target.width), rng.uniform(0.0, 0.19, n)
    if kind == 2:  # nothing that decode gives: steps and turns of any size
        T = decode(rng.integers(0, 14, n), measured, width, type(RELEASED)(0.2, 1.0)).T_base_tcp
        T[:, :3, 3] += rng.normal(0.0, 0.03, (n, 3))
        width = rng.uniform(-0.05, 0.13, n)
    if kind == 3:  # a state that cannot be trusted
        age_s = rng.choice([0.0, 0.19, 0.21, -0.3, 5.0, np.nan], n)
        measured[:, :3, 3] += rng.normal(0.0, 0.01, (n, 3))
        for values in (T, measured, q):
            values[rng.random(values.shape) < 0.01] = rng.choice([np.nan, np.inf, -np.inf])
    return {"T_base_tcp": T, "width": width, "T_measured": measured, "q": q, "age_s": age_s}


def plain(rows, allowed):
    """Every allowed row by inequalities alone -> what is wrong, as text."""
    T, measured = rows["T_base_tcp"][allowed], rows["T_measured"][allowed]
    p, p_now = T[:, :3, 3], measured[:, :3, 3]
    cosine = (np.einsum("bij,bij->b", T[:, :3, :3], measured[:, :3, :3]) - 1.0) / 2.0

    def out(x):
        return np.maximum(ENVELOPE.low - x, 0.0) + np.maximum(x - ENVELOPE.high, 0.0)

    wrong = {
        "not finite": ~np.isfinite(T).all(axis=(1, 2)) | ~np.isfinite(measured).all(axis=(1, 2)),
        "stale": ~(np.abs(rows["age_s"][allowed]) <= 0.2),
        "width": ~((rows["width"][allowed] >= 0.0) & (rows["width"][allowed] <= 0.08)),
        "step": ~(np.sqrt(((p - p_now) ** 2).sum(1)) <= 0.045 + 1e-9),
        "turn": ~(np.arccos(np.clip(cosine, -1.0, 1.0)) <= 0.3 + 1e-6),
        "box": (out(p) > out(p_now)).any(axis=1),
        "joints": ~((rows["q"][allowed] >= LOW) & (rows["q"][allowed] <= HIGH)).all(axis=1),
    }
    return [f"{name}: {int(bad.sum())} rows" for name, bad in wrong.items() if bad.any()]


class Witness:
    """The second opinion on one row: MuJoCo's model of the FR3, its own solver for the joints, the maker's meshes."""

    def __init__(self):
        self.model = robot.robot_spec().compile()
        self.data = mujoco.MjData(self.model)
        self.kinematics = Kinematics(self.model)
        self.arm = [self.model.jnt_qposadr[self.model.joint(name).id] for name in robot.ARM_JOINTS]
        self.fingers = [self.model.jnt_qposadr[self.model.joint(name).id] for name in robot.FINGER_JOINTS]
        meshes = [g for g in range(self.model.ngeom) if self.model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH]
        self.parts = {}
        for geom in meshes:
            if self.model.geom_group[geom] == 3:
                self.parts.setdefault(self.model.body(self.model.geom_bodyid[geom]).name, geom)

    def look(self, row, seen):
        """-> what is wrong with an allowed row, as text; counts into `seen`."""
        q0, T = row["q"], row["T_base_tcp"]
        (way,), _ = way_to(T[None], row["T_measured"][None], q0[None])
        wrong, seen["looked_at"] = [], seen["looked_at"] + 1
        apart = np.linalg.norm(self.kinematics.forward(way[-1])[:3, 3] - T[:3, 3])
        if apart > 1e-3:
            wrong.append(f"the core's joints are {apart:.4f} m from the target: {q0.tolist()}")
        beyond = np.maximum(LOW - way, way - HIGH).max()
        if beyond > np.maximum(0.0, np.maximum(LOW - q0, q0 - HIGH).max()) + SLACK:
            wrong.append(f"{beyond:.4f} rad beyond a joint's range: {q0.tolist()}")
        own = [self.at(row, s, q0) for s in (0.25, 0.5, 0.75, 1.0)]
        if any(q is None for q in own):  # its solver keeps to the ranges and gives up at their ends
            seen["own_solver_gave_up"] += 1
            own = []
        before = self.clearances(q0)
        if min(before) < 0.0:  # no real arm begins there; how deep it is depends on the shapes
            seen["began_inside"] += 1
            return wrong
        for q in [*way, *own]:
            clear = self.clearances(q)
            seen["least_self_m"] = round(min(seen["least_self_m"], float(clear[0])), 4)
            seen["least_table_m"] = round(min(seen["least_table_m"], float(clear[1])), 4)
            if min(clear) < 0.0:
                wrong.append(
                    f"touches: {clear[0]:.4f} m of itself, {clear[1]:.4f} m of the worktop, from {q0.tolist()}"
                )
        return wrong

    def at(self, row, fraction, q0):
        """Joints of MuJoCo's own solver with the tool that far along its straight way, or None."""
        T = row["T_measured"].copy()
        T[:3, 3] += fraction * (row["T_base_tcp"][:3, 3] - T[:3, 3])
        quats = [np.empty(4) for _ in range(3)]
        for quat, R in zip(quats, (row["T_measured"], row["T_base_tcp"]), strict=False):
            mujoco.mju_mat2Quat(quat, np.ascontiguousarray(R[:3, :3]).ravel())
        turn, R = np.empty(3), np.empty(9)
        mujoco.mju_subQuat(turn, quats[1], quats[0])
        quats[2][:] = quats[0]
        mujoco.mju_quatIntegrate(quats[2], turn, fraction)
        mujoco.mju_quat2Mat(R, quats[2])
        T[:3, :3] = R.reshape(3, 3)
        q, found = self.kinematics.inverse(T[None], q0[None], q0, 300)
        return q[0] if found[0] else None

    def clearances(self, q):
        """Joints (7,) -> least distances [m] of the meshes from each other and from what is below, fingers open."""
        self.data.qpos[self.arm], self.data.qpos[self.fingers] = q, 0.04
        mujoco.mj_kinematics(self.model, self.data)
        apart = min(
            mujoco.mj_geomDistance(self.model, self.data, self.parts[a], self.parts[b], 0.1, None)
            for a in BASE
            for b in OUTER
        )
        table = min(self.lowest(name) for name in FOREARM) - ENVELOPE.table_m
        return apart, min(table, min(self.lowest(name) for name in HAND) - ENVELOPE.floor_m)

    def lowest(self, name):
        """Height [m] of the lowest vertex of a part."""
        geom = self.parts[name]
        mesh = self.model.geom_dataid[geom]
        first = self.model.mesh_vertadr[mesh]
        vertices = self.model.mesh_vert[first : first + self.model.mesh_vertnum[mesh]]
        return (vertices @ self.data.geom_xmat[geom].reshape(3, 3)[2]).min() + self.data.geom_xpos[geom][2]

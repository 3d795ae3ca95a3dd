"""The FR3 as an MjSpec: loaded from the installed franky-sim package, with the settings that make grasps hold."""

from pathlib import Path

import mujoco

ARM_JOINTS = tuple(f"fr3_joint{i}" for i in range(1, 8))
FINGER_JOINTS = ("finger_joint1", "finger_joint2")
GRIPPER = "hand"
"""Name of the gripper's actuator; its control is the distance of the fingers [m]."""
GRASP_CONTROL, OPEN_CONTROL = -0.08, 0.16
"""Controls of a closing and an opening gripper: beyond shut and open, so that it presses with its full force whatever
it holds, and does not slow down before it is there."""
TCP = "tcp"
TCP_IN_HAND_M = 0.1034
"""From the hand's flange to the tcp (Franka's hand, F_T_NE)."""
COLLIDING_LINKS = (
    "fr3_link3",
    "fr3_link4",
    "fr3_link5",
    "fr3_link6",
    "fr3_link7",
    "hand",
    "left_finger",
    "right_finger",
)

TIMESTEP_S = 0.005
"""Of the physics; the longest at which grasps hold."""
ROBOT, OBJECT, STATIC = 1, 2, 4
"""Collision groups, as bits."""
STIFF = [0.95, 0.99, 0.001, 0.5, 2.0]
"""Impedance (solimp) of contacts that give way little."""

_GRIPPER_KP, _GRIPPER_FORCE_N = 1500.0, 60.0
_GRIPPER_KD = 300.0
"""Lets the fingers close at 0.3 m/s: faster ones push through the wall of a bowl."""
_ARM_DAMPING = 0.5


def robot_spec():
    """A new MjSpec of the arm at the origin: base frame = world frame."""
    import franky_sim

    path = Path(franky_sim.__file__).parent / "assets" / "fr3.xml"
    spec = mujoco.MjSpec.from_file(str(path))
    spec.meshdir = "meshes"
    for key in list(spec.keys):
        spec.delete(key)
    _physics(spec)
    _collisions(spec)
    _actuators(spec)
    spec.body("hand").add_site(name=TCP, pos=[0.0, 0.0, TCP_IN_HAND_M])
    return spec


def _physics(spec):
    # The elliptic cone and this impratio keep what is held from creeping out of the hand.
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 100
    for body in spec.bodies:
        if body.name != "world":
            body.gravcomp = 1.0  # as the real controller does


def _collisions(spec):
    for geom in list(spec.geoms):
        kind = geom.classname.name
        if kind == "visual":
            continue
        body = geom.parent.name
        if kind.startswith("fingertip_pad") and not kind.endswith("_1"):
            spec.delete(geom)  # one pad a finger: five make contacts fight each other
            continue
        if body not in COLLIDING_LINKS:
            geom.contype = geom.conaffinity = 0
            continue
        geom.contype, geom.conaffinity = ROBOT, OBJECT | STATIC
        if body.endswith("finger"):
            geom.friction = [1.0, 0.02, 0.0001]
            geom.condim = 4
            geom.solref = [0.01, 1.0]
            geom.solimp = STIFF
        if kind.startswith("fingertip_pad"):
            # Soft as rubber, whatever they touch: pressed in by 0.5 mm they keep touching a mass that sways. Of stiffer
            # ones one lifts off for a step, and the motor drives it millimetres into what is held.
            geom.priority = 1
            geom.solimp = [0.8, 0.9, 0.001, 0.5, 2.0]


def _actuators(spec):
    for name in (*ARM_JOINTS, *FINGER_JOINTS):
        spec.joint(name).frictionloss = 0.0  # Franka's controller compensates it
    for name in ARM_JOINTS:
        spec.actuator(name).biasprm[2] *= _ARM_DAMPING
        # The servos stand for Franka's own controller, which gets there in time; at the torque limits they would creep.
        spec.joint(name).actfrclimited = mujoco.mjtLimited.mjLIMITED_FALSE
    gripper = spec.actuator(GRIPPER)
    # The tendon's length is half the distance of the fingers.
    gripper.gainprm[0] = _GRIPPER_KP / 2
    gripper.biasprm[:3] = [0.0, -_GRIPPER_KP, -_GRIPPER_KD]
    gripper.forcerange = [-_GRIPPER_FORCE_N, _GRIPPER_FORCE_N]
    gripper.ctrlrange = [GRASP_CONTROL, OPEN_CONTROL]

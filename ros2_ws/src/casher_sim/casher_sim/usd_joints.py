"""What moves in a USD stage: rigid bodies, joints, servos and articulations, for PhysX, Newton and MuJoCo alike."""

import numpy as np
from pxr import Gf, Sdf, UsdPhysics
from scipy.spatial.transform import Rotation

from casher_sim.usd_physics import attribute, quatf, solver_parameters


def rigid_body(prim, properties):
    """The prim moves as one, with those MassProperties."""
    UsdPhysics.RigidBodyAPI.Apply(prim)
    mass = UsdPhysics.MassAPI.Apply(prim)
    moments, axes = properties.principal()
    mass.CreateMassAttr(float(properties.mass))
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*map(float, properties.center)))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*map(float, moments)))
    mass.CreatePrincipalAxesAttr(quatf(Rotation.from_matrix(axes)))


def fixed_joint(stage, path, body0, body1):
    """Two bodies whose frames coincide do not move against each other; body0 None: the world."""
    joint = UsdPhysics.FixedJoint.Define(stage, path)
    if body0 is not None:
        joint.CreateBody0Rel().SetTargets([body0])
    joint.CreateBody1Rel().SetTargets([body1])
    return joint


def moving_joint(stage, path, body0, body1, kind, frame0, frame1, limits):
    """A hinge or slide between two bodies -> UsdPhysics.RevoluteJoint or PrismaticJoint along the frames' x.

    kind: 'hinge' or 'slide'; frame0, frame1: (origin (3,) [m], Rotation) of the joint in each body; limits: [rad] or
    [m].
    """
    hinge = kind == "hinge"
    joint = (UsdPhysics.RevoluteJoint if hinge else UsdPhysics.PrismaticJoint).Define(stage, path)
    joint.CreateBody0Rel().SetTargets([body0])
    joint.CreateBody1Rel().SetTargets([body1])
    joint.CreateAxisAttr(UsdPhysics.Tokens.x)
    joint.CreateLocalPos0Attr(Gf.Vec3f(*map(float, frame0[0])))
    joint.CreateLocalRot0Attr(quatf(frame0[1]))
    joint.CreateLocalPos1Attr(Gf.Vec3f(*map(float, frame1[0])))
    joint.CreateLocalRot1Attr(quatf(frame1[1]))
    low, high = np.degrees(limits) if hinge else limits
    joint.CreateLowerLimitAttr(float(low))
    joint.CreateUpperLimitAttr(float(high))
    return joint


def resistance(joint, damping, friction, armature):
    """Damping [N m s/rad, N s/m], dry friction [N m, N] and armature [kg m^2, kg] of a joint without a motor."""
    # a drive without stiffness is a damper in every engine
    drive(joint, 0.0, damping)
    friction_and_armature(joint, friction, armature)


def drive(joint, stiffness, damping, max_force=None):
    """A position servo in SI units: [N m/rad, N/m], [N m s/rad, N s/m], [N m, N]; max_force None: unlimited."""
    # in angles USD counts degrees
    per_unit = np.radians(1.0) if joint.GetPrim().IsA(UsdPhysics.RevoluteJoint) else 1.0
    servo = UsdPhysics.DriveAPI.Apply(joint.GetPrim(), _axis(joint))
    servo.CreateTypeAttr(UsdPhysics.Tokens.force)
    servo.CreateStiffnessAttr(float(stiffness * per_unit))
    servo.CreateDampingAttr(float(damping * per_unit))
    servo.CreateTargetVelocityAttr(0.0)
    if max_force is not None:
        servo.CreateMaxForceAttr(float(max_force))


def friction_and_armature(joint, friction, armature):
    """Dry friction [N m, N] and armature [kg m^2, kg]."""
    prim, axis = joint.GetPrim(), _axis(joint)
    prim.AddAppliedSchema(f"PhysxJointAxisAPI:{axis}")
    prim.AddAppliedSchema("NewtonJointAPI")
    for name, value in (
        (f"physxJointAxis:{axis}:staticFrictionEffort", friction),
        (f"physxJointAxis:{axis}:dynamicFrictionEffort", friction),
        (f"physxJointAxis:{axis}:armature", armature),
        ("newton:friction", friction),
        ("newton:armature", armature),
    ):
        attribute(prim, name, Sdf.ValueTypeNames.Float, float(value))


def follow(joint, leader, solref, solimp):
    """The joint's position is that of the joint at Sdf.Path `leader`; how stiffly, in MuJoCo's terms."""
    prim = joint.GetPrim()
    prim.AddAppliedSchema("NewtonMimicAPI")
    prim.AddAppliedSchema("MjcEqualityJointAPI")
    solver_parameters(prim, solref, solimp)
    prim.CreateRelationship("newton:mimicJoint", custom=False).SetTargets([leader])
    attribute(prim, "newton:mimicCoef0", Sdf.ValueTypeNames.Float, 0.0)
    attribute(prim, "newton:mimicCoef1", Sdf.ValueTypeNames.Float, 1.0)


def float_without_gravity(prim):
    """Gravity does not pull at the rigid body: its controller compensates for it."""
    prim.AddAppliedSchema("PhysxRigidBodyAPI")
    attribute(prim, "physxRigidBody:disableGravity", Sdf.ValueTypeNames.Bool, True)
    attribute(prim, "mjc:gravcomp", Sdf.ValueTypeNames.Double, 1.0)


def articulation(prim, self_collisions):
    """The prim's rigid bodies and joints are one articulation."""
    UsdPhysics.ArticulationRootAPI.Apply(prim)
    prim.AddAppliedSchema("PhysxArticulationAPI")
    prim.AddAppliedSchema("NewtonArticulationRootAPI")
    attribute(prim, "physxArticulation:enabledSelfCollisions", Sdf.ValueTypeNames.Bool, self_collisions)
    attribute(prim, "newton:selfCollisionEnabled", Sdf.ValueTypeNames.Bool, self_collisions)


def never_collide(prim, others):
    """The body passes through the others."""
    UsdPhysics.FilteredPairsAPI.Apply(prim).CreateFilteredPairsRel().SetTargets(others)


def along_x(axis):
    """Unit vector (3,) -> a Rotation that turns x onto it."""
    rotation, _ = Rotation.align_vectors([axis], [[1.0, 0.0, 0.0]])
    return rotation


def _axis(joint):
    return "angular" if joint.GetPrim().IsA(UsdPhysics.RevoluteJoint) else "linear"

"""The robot's description that an FR3 sends to its client (protocol 10)."""

import math

_MODIFIED_DH = [  # a [m], twist [rad], d [m] of each joint; the flange is the eighth
    (0.0, 0.0, 0.333),
    (0.0, -math.pi / 2, 0.0),
    (0.0, math.pi / 2, 0.316),
    (0.0825, math.pi / 2, 0.0),
    (-0.0825, -math.pi / 2, 0.384),
    (0.0, math.pi / 2, 0.0),
    (0.088, math.pi / 2, 0.0),
    (0.0, 0.0, 0.107),
]
_EFFORT = (87, 87, 87, 87, 12, 12, 12)
_LINK = """  <link name="link{i}">
    <inertial>
      <mass value="2.0"/>
      <inertia ixx="0.02" ixy="0" ixz="0" iyy="0.02" iyz="0" izz="0.02"/>
    </inertial>
  </link>"""
_JOINT = """  <joint name="joint{i}" type="revolute">
    <origin rpy="{twist} 0 0" xyz="{x} {y} {z}"/>
    <parent link="link{parent}"/>
    <child link="link{i}"/>
    <axis xyz="0 0 1"/>
    <limit effort="{effort}" lower="{lower}" upper="{upper}" velocity="{speed}"/>
    <position_based_velocity_limits deceleration_limit="6.0" velocity_offset="0.5"/>
  </joint>"""
_FLANGE = """  <joint name="joint8" type="fixed">
    <origin rpy="0 0 0" xyz="0 0 {z}"/>
    <parent link="link7"/>
    <child link="link8"/>
  </joint>"""


def urdf(protocol):
    """URDF text with the joint limits of `protocol`; round masses."""
    parts = [_LINK.format(i=i) for i in range(8)] + ['  <link name="link8"/>']
    for i, (a, twist, d) in enumerate(_MODIFIED_DH[:7], start=1):
        limits = {key: getattr(protocol, key)[i - 1] for key in ("lower", "upper", "speed")}
        # Craig's convention: along and about the previous x by a and twist, then along the new z by d.
        offset = {"x": a, "y": -d * math.sin(twist), "z": d * math.cos(twist)}
        parts.append(_JOINT.format(i=i, parent=i - 1, twist=twist, effort=_EFFORT[i - 1], **offset, **limits))
    parts.append(_FLANGE.format(z=_MODIFIED_DH[7][2]))
    return '<?xml version="1.0"?>\n<robot name="fr3">\n' + "\n".join(parts) + "\n</robot>\n"

"""Names of the files that engine_reference writes and other engines' environments read."""

KITCHEN, OBJECT, ROBOT = "kitchen.usdc", "object.usdc", "fr3.usdc"
"""Stages."""
START = "start.json"
"""Task, object, and where the objects of the scenes stand."""
ROLLOUT = "mujoco.npz"
"""Of engine_rollout."""

"""The node of a real arm."""

import sys
from dataclasses import dataclass

import numpy as np
import rclpy
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from casher_franka.arm import HOME_JOINTS, ArmFault
from casher_franka.envelope import Envelope
from casher_franka.franka_config import FrankaConfig
from casher_franka.kinematics import tcp_pose
from casher_franka.server_node import ArmServer
from casher_perception.parameters import declare
from casher_perception.rig import load_rig
from casher_perception.spinning import init_node_process, spin


@dataclass(frozen=True)
class ArmConfig:
    """Parameters of the arm node."""

    rig: str
    """Rig file of the kitchen: its workspace box bounds the tcp."""
    robot: str = "fr3"
    """'fr3', or 'panda' for a Panda (FER). What else is set is in FrankaConfig."""
    lease_s: float = 1.0
    """[s] whoever asked for a motion may be silent on /casher/lease before it stops; 0: it goes on without them."""
    state_rate_hz: float = 50.0
    """Of /casher/robot_state, /joint_states and /casher/tcp_pose."""


def _fr3(config):
    from casher_franka.franky_arm import open_arm  # only the machine at the robot has its client library

    return open_arm(config)


def _panda(config):
    from casher_franka.panda_arm import open_arm

    return open_arm(config)


ARMS = {"fr3": _fr3, "panda": _panda}
"""Name of a robot -> FrankaConfig -> Arm; ArmFault when the robot does not answer."""


class ArmNode(Node):
    """A real arm under the ROS names."""

    def __init__(self, **kwargs):
        super().__init__("arm", **kwargs)
        self.config = declare(self, ArmConfig)
        if self.config.robot not in ARMS:
            raise ValueError(f"unknown robot {self.config.robot!r}: known are {', '.join(ARMS)}")
        envelope = Envelope.of(load_rig(self.config.rig), self.config.robot)
        envelope.require(tcp_pose(np.array([HOME_JOINTS]))[0, :3, 3], "the start pose")
        self.arm = ARMS[self.config.robot](declare(self, FrankaConfig))
        self.server = ArmServer(
            self,
            self.arm,
            envelope,
            state_rate_hz=self.config.state_rate_hz,
            robot=self.config.robot,
            lease_s=self.config.lease_s,
        )

    def destroy_node(self):
        """Let the arm come to rest and go."""
        self.server.close()
        self.arm.close()
        super().destroy_node()


def main():
    init_node_process()
    node = None
    try:
        node = ArmNode()
        executor = MultiThreadedExecutor(num_threads=4)
        executor.add_node(node)
        spin(executor, farewell=node.server.rest)
    except KeyboardInterrupt:
        pass
    except (ValueError, ArmFault, OSError) as error:
        print(f"arm: {error}", file=sys.stderr)
        return 1
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

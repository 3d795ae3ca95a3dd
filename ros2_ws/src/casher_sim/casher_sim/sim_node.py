"""The simulator under the names of the real thing: the arm, the rig's cameras, and what only a simulator can offer."""

import sys
import threading
import time
from dataclasses import dataclass

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from casher_franka.arm import ArmFault
from casher_franka.envelope import Envelope
from casher_franka.server_node import ArmServer
from casher_msgs.msg import SimulationState
from casher_msgs.srv import ResetScene
from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, Intrinsics
from casher_perception.camera_node import CameraPublisher
from casher_perception.clouds import warm_up
from casher_perception.parameters import declare
from casher_perception.rig import load_rig
from casher_perception.sources import Frame
from casher_perception.spinning import init_node_process, spin
from casher_policy.task import task_named
from casher_sim.conversions import simulation_state_message
from casher_sim.places import place_of
from casher_sim.sim_arm import SimArm
from casher_sim.world import World, objects_of
from casher_sim.world_camera import WorldCamera

STATE_HZ = 10.0
MUTE_CAMERA = "mute_camera"
"""The one parameter that may be set while the node runs."""


@dataclass(frozen=True)
class SimConfig:
    """Parameters of the simulator."""

    rig: str
    """Path of the rig file: the kitchen, its cameras and the arm's workspace."""
    crop_low: tuple
    """(x, y, z) [m], base frame: points outside the crop are not sent."""
    crop_high: tuple
    """(x, y, z) [m], base frame."""
    twin: str = ""
    """Folder of the digital twin to begin in; empty: the rig's own kitchen."""
    task: str = "put_in_sink"
    """What success means."""
    seed: int = 0
    """Of the scene that is there before the first reset."""
    voxel_m: float = 0.005
    """Edge of the cameras' voxels [m]."""
    speed: float = 0.0
    """Of the simulated time: 1 is real time, 0 as fast as it goes."""
    viewer: bool = False
    """Show the scene in the browser."""
    viewer_port: int = 8080
    """Of the page; the next free one if it is taken."""


class SimNode(Node):
    """A MultiThreadedExecutor of at least 4 threads spins it.

    What a camera's thread raises is kept in `failure` and sets `over`.
    """

    def __init__(self, **kwargs):
        super().__init__("sim", **kwargs)
        self.failure, self.over = None, threading.Event()
        config = declare(self, SimConfig)
        rig = load_rig(config.rig)
        self._places = dict.fromkeys(("", config.twin), place_of(rig.kitchen, config.twin))
        self._world = World(self._places[""], task_named(config.task))
        self._world.reset(self._world.objects[0], "", config.seed)
        self._arm = SimArm(self._world, config.speed)
        warm_up()
        self._views = {
            name: (m.intrinsics or Intrinsics.from_fov(m.width, m.height, D435I_COLOUR_HFOV_RAD), m.T_base_camera)
            for name, m in rig.cameras.items()
        }
        self._cameras = {
            name: CameraPublisher(self, name, *view, config.crop_low, config.crop_high, config.voxel_m)
            for name, view in self._views.items()
        }
        # The first picture compiles and builds what the others use: seconds, spent before anyone waits for us.
        camera_view = WorldCamera(self._world)
        camera_view.render(camera_view.look(), self._views.values())
        self._period_s = 1.0 / max(mount.rate_hz for mount in rig.cameras.values())
        self._declare_mute()
        self._state = self.create_publisher(SimulationState, "/sim/state", 10)
        self.create_timer(1.0 / STATE_HZ, self._publish_state, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_service(ResetScene, "/sim/reset", self._reset, callback_group=MutuallyExclusiveCallbackGroup())
        self._server = ArmServer(self, self._arm, Envelope.of(rig, "sim"), robot="sim")
        self._server.on_settled = self._settled
        self._viewer = self._open_viewer(config) if config.viewer else None
        self._stop, self._fresh = threading.Event(), threading.Event()
        self._photographer = threading.Thread(target=self._photograph, args=(camera_view,), name="cameras", daemon=True)
        self._photographer.start()

    def rest(self):
        """End the motion; its client hears of it while the node is still spun."""
        self._server.rest()

    def destroy_node(self):
        """End the motion, the cameras and the page."""
        self._stop.set()
        self._fresh.set()
        self._server.close()
        self._photographer.join(5.0)
        if self._viewer is not None:
            self._viewer.close()
        super().destroy_node()

    def _declare_mute(self):
        description = f"Name of a camera to silence, to rehearse the fault: {', '.join(self._views)}; empty for none."
        self.declare_parameter(MUTE_CAMERA, "", ParameterDescriptor(description=description))
        self.add_on_set_parameters_callback(self._check_mute)

    def _check_mute(self, parameters):
        wrong = [p.value for p in parameters if p.name == MUTE_CAMERA and p.value not in ("", *self._views)]
        reason = f"no camera {wrong[0]!r}: known are {', '.join(self._views)}, or empty" if wrong else ""
        return SetParametersResult(successful=not wrong, reason=reason)

    def _open_viewer(self, config):
        from casher_sim.viewer import Viewer  # takes a second to load

        viewer = Viewer(self._world, self._arm.lock, config.viewer_port)
        self.get_logger().info(f"the scene is shown at http://localhost:{viewer.port}")
        return viewer

    def _settled(self, _state):
        self._publish_state()
        self._fresh.set()

    def _publish_state(self):
        with self._arm.lock:
            message = simulation_state_message(self._world, self.get_clock().now().nanoseconds)
        self._state.publish(message)

    def _reset(self, request, response):
        try:
            if request.twin not in self._places:
                self._places[request.twin] = place_of("", request.twin)
            place = self._places[request.twin]
            name = request.object or objects_of(place, self._world.task)[0]
            self._arm.reset(name, request.side, request.seed, place)
            response.success = True
        except (ValueError, ArmFault) as error:
            response.message = str(error)
        response.object, response.side = self._world.object_name, self._world.side
        response.objects = list(self._world.objects)
        self._settled(None)
        return response

    def _photograph(self, camera_view):
        """Frames at the rig's rate, and one at once whenever the arm has settled or the scene is new."""
        moment, images = None, []
        try:
            while not self._stop.is_set() and self.context.ok():
                begin = time.monotonic()
                self._fresh.clear()
                with self._arm.lock:
                    stamp_ns, now = self.get_clock().now().nanoseconds, self._world.moment
                    look = camera_view.look() if now != moment else None
                if look is not None:  # else nothing has moved: the same pictures, taken later
                    moment, images = now, camera_view.render(look, self._views.values())
                muted = self.get_parameter(MUTE_CAMERA).value
                for (name, camera), (colour, depth) in zip(self._cameras.items(), images, strict=True):
                    if name != muted:
                        camera.publish(Frame(colour, depth, stamp_ns))
                self._fresh.wait(max(0.0, self._period_s - (time.monotonic() - begin)))
        except Exception as error:  # this thread's end is the node's, and says why
            if self._stop.is_set() or not self.context.ok():
                return
            self.failure = error
            self.get_logger().fatal(f"cameras: {error}")
            self.over.set()


def main():
    init_node_process()
    node = None
    try:
        node = SimNode()
        executor = MultiThreadedExecutor(num_threads=6)
        executor.add_node(node)
        spin(executor, node.over, farewell=node.rest)
    except KeyboardInterrupt:
        pass
    except ValueError as error:  # a parameter or the rig file: the message says what to do
        rclpy.logging.get_logger("sim").fatal(str(error))
        sys.exit(1)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    if node is not None and node.failure is not None:
        sys.exit(1)


if __name__ == "__main__":
    main()

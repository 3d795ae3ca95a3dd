"""The scene as a live page in the browser."""

import threading

import numpy as np
import viser
from scipy.spatial.transform import Rotation

from casher_sim.mesh_file import as_trimesh
from casher_sim.visible_parts import model_poses
from casher_sim.world_camera import world_parts

PERIOD_S = 0.1


class Viewer:
    """Serves http://localhost:PORT until closed, to this machine alone; takes `lock` to look at `world`."""

    def __init__(self, world, lock, port):
        self._world, self._lock = world, lock
        self._server = viser.ViserServer(host="127.0.0.1", port=port, verbose=False)
        self._server.scene.set_up_direction("+z")
        self._server.initial_camera.position = (-0.6, -1.0, 0.9)
        self._server.initial_camera.look_at = (0.5, 0.0, 0.1)
        self.port = self._server.get_port()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="viewer", daemon=True)
        self._thread.start()

    def close(self):
        """End the page."""
        self._stop.set()
        self._thread.join(5.0)
        self._server.stop()

    def _show(self):
        resets, frames = None, {}
        while not self._stop.wait(PERIOD_S):
            with self._lock:
                poses, now = model_poses(self._world.model, self._world.data), self._world.resets
                parts = world_parts(self._world) if now != resets else None
            if parts is not None:
                resets, frames = now, self._rebuild(parts)
            with self._server.atomic():
                for name, handle in frames.items():
                    handle.position = poses[name][:3, 3]
                    handle.wxyz = np.roll(Rotation.from_matrix(poses[name][:3, :3]).as_quat(), 1)

    def _rebuild(self, parts):
        """-> {frame: its handle}."""
        scene = self._server.scene
        scene.reset()
        names = dict.fromkeys(part.frame for part in parts)
        frames = {name: scene.add_frame(f"/scene/{name}", show_axes=False) for name in names}
        for i, part in enumerate(parts):
            scene.add_mesh_trimesh(f"/scene/{part.frame}/part_{i}", as_trimesh(part.mesh))
        return frames

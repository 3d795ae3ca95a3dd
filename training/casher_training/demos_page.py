"""The page on which a person gives demonstrations: live scene, two cameras, keys, success light, steps.

viser calls back for a key wherever on the page it is pressed. One action at a time: a key that comes while the last one
is still carried out is dropped, so that a key held down cannot pile up motions that a real arm would then go through.
"""

import html
import queue
import threading

import numpy as np
import viser

from casher_policy.action import ACTION_NAMES
from casher_sim.mesh_file import as_trimesh
from casher_training import demos_keys as keys
from casher_training.scene_drawing import paper_views

PERIOD_S = 0.05
ROBOT_DETAIL_M = 0.012
"""Coarse enough for a browser that draws without a graphics card."""
_PICTURE = (320, 240)
_LIGHT = {True: ("#2eb85c", "success"), False: ("#9aa5b1", "not yet")}
_EYE, _LOOK_AT = (-0.75, -0.75, 0.85), (0.5, 0.0, 0.1)


class DemoPage:
    """Serves http://HOST:PORT until closed; `collection.press` is called by whoever calls `run`."""

    def __init__(self, collection, drawing, host="127.0.0.1", port=8080):
        """collection: demos_collection.Collection; drawing: scene_drawing.SceneDrawing."""
        self._collection, self._drawing = collection, drawing
        self._commands, self._idle = queue.SimpleQueue(), threading.Event()
        self._idle.set()
        self.dropped = 0
        """Keys that came while an action was carried out."""
        server = self._server = viser.ViserServer(host=host, port=port, label="casher demos", verbose=False)
        self.port = server.get_port()
        server.scene.set_up_direction("+z")
        server.initial_camera.position, server.initial_camera.look_at = _EYE, _LOOK_AT
        # A laptop without a graphics card shall keep up.
        server.scene.configure_default_lights(cast_shadow=False)
        server.on_client_connect(self._on_connect)
        self._frames = {name: server.scene.add_frame(f"/{name}", show_axes=False) for name in drawing.frames}
        for i, part in enumerate(drawing.parts):
            server.scene.add_mesh_trimesh(f"/{part.frame}/part_{i}", as_trimesh(part.mesh))
        # viser can publish its pages on the internet: not one that moves an arm.
        server.gui.configure_theme(control_width="large", show_share_button=False, show_logo=False)
        self._status = server.gui.add_html("")
        self._views = paper_views(*_PICTURE)
        blank = np.zeros((_PICTURE[1], _PICTURE[0], 3), np.uint8)
        label = f"cameras: {', '.join(self._views)}"
        self._cameras = server.gui.add_image(_side_by_side([blank] * len(self._views)), label=label, format="jpeg")
        server.gui.add_markdown(key_map(collection.demo.robot))
        for key, (action, _) in keys.ACTIONS.items():
            self._bind(key, ACTION_NAMES[action], action)
        for key, (command, text) in keys.commands_of(collection.demo.robot).items():
            self._bind(key, text, command)
        self._shown, self._ending = None, threading.Event()
        self._show_state()
        self._painter = threading.Thread(target=self._paint, name="demo page", daemon=True)
        self._painter.start()

    def run(self, until=lambda: False):
        """Carry out what is pressed until there are enough demonstrations, or until() holds."""
        while not (self._collection.done or until()):
            try:
                command = self._commands.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                self._collection.press(command)
                self._show_status()
            finally:
                self._idle.set()

    @property
    def idle(self):
        """Whether the next key will be heeded: nothing is being carried out."""
        return self._idle.is_set()

    def close(self):
        """End the page."""
        self._ending.set()
        self._painter.join(5.0)
        self._server.stop()

    def _on_connect(self, _):
        self._collection.clock.touch()

    def _bind(self, key, label, command):
        bound = self._server.gui.add_command(label, hotkey=key)

        # Asynchronous, because viser calls these one after the other; the others go to a pool of threads.
        @bound.on_trigger
        async def _(_):
            if command == keys.STOP:
                self._collection.stop()
            elif self._idle.is_set():
                self._idle.clear()
                self._commands.put(command)
            else:
                self.dropped += 1

    def _paint(self):
        while not self._ending.wait(PERIOD_S):
            self._show_state()
            self._show_status()

    def _show_state(self):
        state = self._collection.demo.state
        if state is self._shown:
            return
        poses = self._drawing.poses(state)
        with self._server.atomic():
            for name, handle in self._frames.items():
                handle.position, handle.wxyz = poses[name][:3, 3], _wxyz(poses[name])
        pictures = self._drawing.pictures(state, self._views.values())
        self._cameras.image = _side_by_side([colour for colour, _ in pictures])
        self._shown = state

    def _show_status(self):
        content = status_html(self._collection)
        if content != self._status.content:
            self._status.content = content


def status_html(collection):
    """Success light, steps, what came of the last key."""
    demo = collection.demo
    colour, light = _LIGHT[demo.success]
    return (
        f'<div id="casher-status" data-steps="{demo.steps}" data-saved="{collection.saved}" '
        f'data-success="{int(demo.success)}" style="font-size:15px;line-height:1.5;padding:6px 12px">'
        f"<b>{html.escape(demo.task.sentence)}</b>, {html.escape(demo.scene.name)}<br>"
        f'<span style="display:inline-block;width:16px;height:16px;border-radius:8px;vertical-align:-3px;'
        f'background:{colour}"></span> {light} &nbsp; step <b>{demo.steps}</b> / {demo.task.horizon} &nbsp; '
        f"saved <b>{collection.saved}</b> / {collection.wanted}<br>"
        f'<span id="casher-message">{html.escape(collection.message) or "&nbsp;"}</span></div>'
    )


def key_map(robot):
    """The keys as Markdown."""
    actions = [f"`{key}` {ACTION_NAMES[action]} {text}" for key, (action, text) in keys.ACTIONS.items()]
    rows = [f"| {a} | {b} |" for a, b in zip(actions[::2], actions[1::2], strict=True)]
    others = [f"`{key}` {text}" for key, (_, text) in keys.commands_of(robot).items()]
    return "\n".join(["| | |", "|---|---|", *rows, "", *("- " + line for line in others)])


def _side_by_side(pictures):
    gap = np.full((_PICTURE[1], 8, 3), 255, np.uint8)
    return np.hstack([piece for picture in pictures for piece in (gap, picture)][1:])


def _wxyz(T):
    return viser.transforms.SO3.from_matrix(T[:3, :3]).wxyz

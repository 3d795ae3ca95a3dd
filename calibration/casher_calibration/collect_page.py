"""The operator's page: what the cameras see, what was taken, and three buttons. Nothing but the standard library."""

import http.server
import json
import secrets
import threading

import cv2
import numpy as np

from casher_calibration.collect_page_html import PAGE
from casher_calibration.collector import GRID, coverage, rotation_spread

HOST = "127.0.0.1"
"""Only this machine: the buttons move a robot."""
SHOWN_PX = 640
COMMANDS = ("go", "take", "stop", "finish")
GREEN, RED = (60, 220, 60), (230, 60, 60)


class Page:
    """Serves http://127.0.0.1:PORT until closed; `command(word)` is called with one of COMMANDS."""

    def __init__(self, collector, wanted, drives, command, port=8090):
        """wanted: number of samples asked for; drives: whether the program moves the arm."""
        token = secrets.token_hex(16)
        kitchen = collector.session.kitchen or "a kitchen"
        html = PAGE.replace("__TOKEN__", token).replace("__KITCHEN__", kitchen)
        ticks = iter(range(10**12))

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                if path == "/":
                    self._send("text/html; charset=utf-8", html.encode())
                elif path == "/state.json":
                    state = page_state(collector, wanted, drives) | {"tick": next(ticks)}
                    self._send("application/json", json.dumps(state).encode())
                elif path.startswith("/camera/"):
                    view = collector.progress.views.get(path.removeprefix("/camera/").removesuffix(".jpg"))
                    self._send("image/jpeg", picture(view)) if view else self.send_error(404)
                else:
                    self.send_error(404)

            def do_POST(self):
                word = self.path.removeprefix("/")
                # Another page in the same browser could post here, but does not know the token.
                if self.headers.get("X-Token") != token or word not in COMMANDS:
                    self.send_error(403)
                    return
                command(word)
                self._send("application/json", b"{}")

            def _send(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def close(self):
        """End the page."""
        self._server.shutdown()
        self._server.server_close()


def page_state(collector, wanted, drives):
    """What the page shows besides the pictures, as plain values."""
    progress, cells = collector.progress, coverage(collector.session)
    turned = np.rad2deg(rotation_spread(collector.session))
    cameras = {}
    for name in collector.session.cameras:
        view = progress.views.get(name)
        found = view is not None and view.detection is not None
        says = f"{len(view.detection.ids)} corners" if found else view.problem if view else "no picture yet"
        cameras[name] = {"found": found, "says": says, "coverage": cells[name].tolist()}
    expected = f", expected error {progress.expected_mm:.1f} mm" if progress.expected_mm else ""
    return {
        "phase": progress.phase,
        "said": list(progress.said)[-40:],
        "whole": collector.whole(),
        "wanted": wanted,
        "drives": drives,
        "turned": f"turned by {turned[0]:.0f}, {turned[1]:.0f} and {turned[2]:.0f} deg about three axes{expected}",
        "cameras": cameras,
    }


def picture(view):
    """A View -> JPEG with its corners drawn and the grid of the coverage."""
    image = draw_corners(view.image, view.detection)
    height, width = image.shape[:2]
    for column in range(1, GRID[0]):
        cv2.line(image, (column * width // GRID[0], 0), (column * width // GRID[0], height), (150, 150, 150), 1)
    for row in range(1, GRID[1]):
        cv2.line(image, (0, row * height // GRID[1]), (width, row * height // GRID[1]), (150, 150, 150), 1)
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), GREEN if view.detection else RED, 10)
    small = cv2.resize(image, (SHOWN_PX, round(SHOWN_PX * height / width)), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()


def draw_corners(image, detection):
    """RGB image -> a copy with a ring at every corner found."""
    image = image.copy()
    if detection is not None:
        for x, y in detection.pixels:
            cv2.circle(image, (round(float(x)), round(float(y))), 9, GREEN, 3)
    return image

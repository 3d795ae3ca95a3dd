"""Pictures of the clouds that a student sees, so that a person can look at them."""

import numpy as np
from PIL import Image, ImageDraw

from casher_perception.geometry import inverse, transform

_BACKGROUND = 244


def cloud_picture(points, colours, size=(320, 240), T_base_camera=None, focal=1.1, dot=2):
    """Points [m] (N, 3), base frame, and colours (N, 3) uint8 -> (H, W, 3) uint8, seen from beside the robot.

    T_base_camera (4, 4): of another eye, optical frame; focal: its focal length in widths of the picture.
    """
    width, height = size
    p = transform(inverse(eye() if T_base_camera is None else T_base_camera), np.asarray(points, np.float64))
    # The nearest last: what is drawn later covers what lies behind it.
    far_to_near = np.argsort(-p[:, 2])
    p, colours = p[far_to_near], np.asarray(colours)[far_to_near]
    in_front = p[:, 2] > 0.05
    p, colours = p[in_front], colours[in_front]
    u = np.rint(p[:, 0] / p[:, 2] * focal * width + width / 2).astype(int)
    v = np.rint(p[:, 1] / p[:, 2] * focal * width + height / 2).astype(int)
    picture = np.full((height, width, 3), _BACKGROUND, np.uint8)
    for du in range(dot):
        for dv in range(dot):
            x, y = u + du, v + dv
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            picture[y[inside], x[inside]] = colours[inside]
    return picture


def eye():
    """T_base_camera (4, 4) of where the pictures are taken from: behind the robot's shoulder, towards the worktop."""
    return looking(np.array([-0.5, -0.75, 0.95]), np.array([0.45, 0.0, 0.1]))


def looking(p_base_eye, p_base_target):
    """Pose (4, 4) of an optical frame (z forward, y down) at p_base_eye (3,) [m] that looks at p_base_target."""
    forward = (p_base_target - p_base_eye) / np.linalg.norm(p_base_target - p_base_eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T[:3, 3] = p_base_eye
    return T


def near_tool(points, colours, p_base_tcp, size=(320, 240), half_edge_m=0.16):
    """What lies in a cube about the tool, seen from nearby -> (H, W, 3) uint8."""
    near = (np.abs(points - p_base_tcp) <= half_edge_m).all(axis=1)
    pose = looking(np.add(p_base_tcp, (-0.3, -0.3, 0.3)), np.asarray(p_base_tcp))
    return cloud_picture(points[near], colours[near], size, pose, focal=1.0, dot=4)


def captioned(picture, text):
    """The picture with a line of text in its corner, which nothing of it runs through."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((6, 4), text)
    draw.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=(_BACKGROUND,) * 3)
    draw.text((6, 4), text, fill=(20, 30, 60))
    return np.asarray(image)


def sheet(pictures, columns):
    """Pictures of one size -> one picture of them all, in rows."""
    blank = np.full_like(pictures[0], 255)
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    return np.vstack([np.hstack([*row, *[blank] * (columns - len(row))]) for row in rows])

"""The things that stand about: how each looks and what it collides with; built about the origin, their front to -x."""

import numpy as np

from casher_sim import procedural_shapes as shapes
from casher_sim.procedural_clutter_plan import KINDS


def build_clutter(pieces, layout):
    """All items of the layout."""
    for item in layout.clutter:
        builder = BUILDERS[item.kind]
        parts = builder(np.random.default_rng(item.variant))
        origin = np.array([*item.position, layout.counter_z])
        for shape, material in parts:
            vertices, faces, uv = shapes.turned(shape, item.yaw)
            pieces.show((vertices + origin, faces, uv), material)
        _collide(pieces, item, origin, np.concatenate([shape[0] for shape, _ in parts]))


def _collide(pieces, item, origin, points):
    """A box around what has corners, a twelve-sided prism around what is round."""
    low, high = points.min(axis=0), points.max(axis=0)
    if item.kind in _SQUARE:
        c, s = np.cos(item.yaw), np.sin(item.yaw)
        x, y, _ = (low + high) / 2
        shift = origin + np.array([c * x - s * y - x, s * x + c * y - y, 0.0])
        pieces.block(low + shift, high + shift, yaw=item.yaw)
    else:
        radius = min(KINDS[item.kind][0], np.hypot(points[:, 0], points[:, 1]).max())
        pieces.hull(_ring(origin, radius, high[2]))


_SQUARE = ("board", "toaster", "knife_block", "rack", "microwave", "coffee", "books")


def _ring(center, radius, height):
    angles = 2 * np.pi * np.arange(12) / 12
    ring = np.c_[np.cos(angles), np.sin(angles)] * radius + center[:2]
    return np.r_[np.c_[ring, np.full(12, center[2])], np.c_[ring, np.full(12, center[2] + height)]]


def _pot(radius, height, waist=1.0, sections=18):
    profile = [(0, 0), (0.86 * radius, 0), (waist * radius, 0.45 * height), (radius, height), (0.9 * radius, height)]
    return shapes.lathe([*profile, (0.85 * radius, 0.85 * height), (0, 0.85 * height)], (0, 0, 0), sections)


def _ball(center, radius):
    angles = np.linspace(-np.pi / 2, np.pi / 2, 7)
    return shapes.lathe(np.c_[radius * np.cos(angles), radius * np.sin(angles)], center, 10)


def _can(center, radius, height):
    return shapes.lathe([(0, 0), (radius, 0), (radius, 0), (radius, height), (radius, height), (0, height)], center, 16)


def _pick(g, *names):
    return str(g.choice(names))


def _bottle(g):
    r, h = g.uniform(0.028, 0.038), g.uniform(0.22, 0.29)
    profile = [(0, 0), (r, 0), (r, 0.62 * h), (0.35 * r, 0.78 * h), (0.35 * r, 0.97 * h), (0, 0.97 * h)]
    glass = _pick(g, "leaf", "glass", "bright", "dark")
    return [
        (shapes.lathe(profile, (0, 0, 0)), glass),
        (shapes.lathe([(r + 0.0006, 0.15 * h), (r + 0.0006, 0.45 * h)], (0, 0, 0)), "paper"),
        (_can((0, 0, 0.96 * h), 0.4 * r, 0.04 * h), "dark"),
    ]


def _jar(g, x=0.0, y=0.0):
    r, h = g.uniform(0.035, 0.045), g.uniform(0.09, 0.15)
    return [
        (_can((x, y, 0), r, h), _pick(g, "glass", "clay", "white", "bright2")),
        (_can((x, y, h), 1.04 * r, 0.018), _pick(g, "wood", "metal", "dark")),
    ]


def _jars(g):
    return [part for y in (-0.06, 0.05) for part in _jar(g, g.uniform(-0.03, 0.0), y)]


def _board(g):
    w, h = g.uniform(0.2, 0.29), g.uniform(0.26, 0.33)
    # leans against the wall: its foot is in front, its top at the wall
    slab = shapes.box((0.0, -w / 2, 0), (0.018, w / 2, h), upright=True)
    lean = [(shapes.turned(slab, 0.0, (0.09, 0, 0), 0.14), "wood")]
    vertices, faces, uv = lean[0][0]
    vertices = vertices + np.array([0.08, 0, -vertices[:, 2].min()])
    return [((vertices, faces, uv), "wood")]


def _toaster(g):
    shell = _pick(g, "steel", "bright", "white", "bright2")
    outline = shapes.rounded_rectangle((0, 0), (0.085, 0.13), 0.04, 4)
    parts = [(shapes.prism(outline, 0.012, 0.18), shell), (shapes.box((-0.07, -0.11, 0), (0.07, 0.11, 0.012)), "dark")]
    parts += [(shapes.box((x - 0.012, -0.09, 0.18), (x + 0.012, 0.09, 0.181)), "dark") for x in (-0.035, 0.035)]
    return [*parts, (shapes.box((-0.02, -0.15, 0.10), (0.02, -0.13, 0.12)), "dark")]


def _kettle(g):
    body = _pick(g, "steel", "bright", "white", "dark")
    profile = [(0, 0), (0.085, 0), (0.088, 0.03), (0.062, 0.17), (0.05, 0.19), (0, 0.2)]
    bend = np.linspace(-0.9, 1.3, 9)
    handle = np.c_[np.zeros(9), 0.055 + 0.05 * np.cos(bend), 0.12 + 0.07 * np.sin(bend)]
    return [
        (shapes.lathe(profile, (0, 0, 0)), body),
        (shapes.tube(handle, 0.009), "dark"),
        (shapes.tube([(0, -0.06, 0.11), (0, -0.10, 0.17)], [0.016, 0.009]), body),
        (_ball((0, 0, 0.205), 0.013), "dark"),
    ]


def _plates(g):
    profile = [(0, 0), (0.065, 0), (0.11, 0.014), (0.11, 0.017), (0.07, 0.006), (0, 0.006)]
    material = _pick(g, "white", "clay", "bright")
    return [(shapes.lathe(profile, (0, 0, 0.009 * i), 24), material) for i in range(int(g.integers(3, 8)))]


def _knife_block(g):
    block = shapes.turned(shapes.box((-0.05, -0.05, 0), (0.05, 0.05, 0.20)), 0.0, (0, 0, 0), 0.25)
    low = block[0][:, 2].min()
    parts = [((block[0] * [1, 1, 1] - [0, 0, low], *block[1:]), _pick(g, "wood", "dark"))]
    for y in (-0.03, 0.0, 0.03):
        for x in (-0.02, 0.02):
            knife = shapes.box((x - 0.006, y - 0.009, 0.19), (x + 0.006, y + 0.009, 0.245))
            parts.append((shapes.turned(knife, 0.0, (0, 0, 0), 0.25), "dark"))
    return [((v - [0.02, 0, 0], f, t), m) for (v, f, t), m in parts]


def _plant(g):
    h = g.uniform(0.09, 0.12)
    parts = [(_pot(0.062, h), "clay")]
    for _ in range(26):
        a, lean, length = g.uniform(0, 2 * np.pi), g.uniform(0.1, 0.5), g.uniform(0.07, 0.12)
        tip = np.array([np.cos(a) * np.sin(lean), np.sin(a) * np.sin(lean), np.cos(lean)]) * length
        base = np.array([0.3 * tip[0], 0.3 * tip[1], 0.82 * h])
        path = [base, base + 0.5 * tip, base + tip - [0, 0, 0.02 * lean]]
        parts.append((shapes.tube(path, [0.003, 0.013, 0.002], 5), "leaf"))
    return parts


def _fruit(g):
    bowl = [(0, 0), (0.05, 0), (0.115, 0.06), (0.108, 0.06), (0.05, 0.012), (0, 0.012)]
    parts = [(shapes.lathe(bowl, (0, 0, 0), 24), _pick(g, "wood", "white", "clay"))]
    for i in range(6):
        a = 2 * np.pi * i / 5
        at = (0.055 * np.cos(a), 0.055 * np.sin(a), 0.055) if i < 5 else (0, 0, 0.09)
        parts.append((_ball(at, g.uniform(0.033, 0.04)), _pick(g, "bright", "bright2", "leaf")))
    return parts


def _rack(g):
    x, y, z = 0.11, 0.16, 0.10
    path = [(-x, -y, z), (x, -y, z), (x, y, z), (-x, y, z), (-x, -y + 1e-3, z)]
    parts = [
        (shapes.tube(path, 0.004, 6), "steel"),
        (shapes.box((-x, -y, 0), (x, y, 0.012)), _pick(g, "white", "dark")),
    ]
    for v in np.linspace(-y, y, 9):
        wire = [(-x, v, z), (-x, v, 0.02), (x, v, 0.02), (x, v, z)]
        parts.append((shapes.tube(wire, 0.0025, 5), "steel"))
    for v in np.linspace(-0.10, 0.06, int(g.integers(2, 6))):
        plate = shapes.lathe([(0, 0), (0.10, 0.008), (0.10, 0.011), (0, 0.004)], (0, 0, 0), 20)
        vertices = plate[0][:, [0, 2, 1]] * [1, 1, 1] + [0, v, 0.115]
        parts.append(((vertices, plate[1][:, ::-1], plate[2]), "white"))
    return parts


def _soap(g):
    return [
        (_can((0, 0, 0), 0.027, 0.11), _pick(g, "glass", "bright", "clay", "leaf")),
        (_can((0, 0, 0.11), 0.008, 0.03), "dark"),
        (shapes.box((-0.045, -0.008, 0.138), (0.01, 0.008, 0.152)), "dark"),
    ]


def _roll(g):
    return [
        (_can((0, 0, 0), 0.066, 0.012), "wood"),
        (_can((0, 0, 0.012), 0.052, 0.235), "paper"),
        (_can((0, 0, 0.24), 0.009, 0.035), "wood"),
    ]


def _microwave(g):
    body = _pick(g, "steel", "white", "dark")
    x, y, z = 0.165, 0.235, 0.27
    return [
        (shapes.box((-x, -y, 0.01), (x, y, z)), body),
        (shapes.box((-x - 0.008, -0.10, 0.03), (-x, 0.225, z - 0.02)), "dark"),
        (shapes.box((-x - 0.03, -0.125, 0.05), (-x - 0.015, -0.11, z - 0.04)), "metal"),
        (shapes.box((-x - 0.003, -0.215, 0.19), (-x, -0.14, 0.235)), "glass"),
    ]


def _coffee(g):
    body = _pick(g, "steel", "dark", "bright")
    return [
        (shapes.box((-0.11, -0.08, 0), (0.11, 0.08, 0.05)), body),
        (shapes.box((0.03, -0.08, 0.05), (0.11, 0.08, 0.32)), body),
        (shapes.box((-0.11, -0.08, 0.23), (0.03, 0.08, 0.32)), body),
        (_can((-0.045, 0, 0.05), 0.048, 0.11), "glass"),
        (_can((-0.045, 0, 0.2), 0.03, 0.03), "dark"),
    ]


def _utensils(g):
    parts = [(_pot(0.05, 0.14), _pick(g, "clay", "white", "steel"))]
    for _ in range(6):
        a, lean = g.uniform(0, 2 * np.pi), g.uniform(0.05, 0.2)
        ahead = np.array([np.cos(a) * lean, np.sin(a) * lean, 1.0])
        path = np.array([0, 0, 0.08]) + np.outer([0, 0.13, 0.16, 0.21], ahead)
        parts.append((shapes.tube(path, [0.005, 0.005, 0.016, 0.012], 6), _pick(g, "wood", "steel", "dark")))
    return parts


def _tins(g):
    parts = []
    for x, y, r, h in ((0.01, -0.045, 0.04, 0.10), (0.0, 0.045, 0.042, 0.14)):
        parts += [
            (_can((x, y, 0), r, h), _pick(g, "bright", "bright2", "white", "clay")),
            (_can((x, y, h), r + 0.001, 0.02), "metal"),
        ]
    return parts


def _books(g):
    parts, y = [], -0.09
    while y < 0.07:
        w, h, d = g.uniform(0.015, 0.04), g.uniform(0.17, 0.235), g.uniform(0.13, 0.16)
        parts.append(
            (
                shapes.box((0.09 - d, y, 0), (0.09, y + w, h)),
                _pick(g, "bright", "bright2", "white", "dark", "clay", "leaf"),
            )
        )
        y += w + 0.001
    return parts


BUILDERS = {
    "bottle": _bottle,
    "jar": _jar,
    "jars": _jars,
    "board": _board,
    "toaster": _toaster,
    "kettle": _kettle,
    "plates": _plates,
    "knife_block": _knife_block,
    "plant": _plant,
    "fruit": _fruit,
    "rack": _rack,
    "soap": _soap,
    "roll": _roll,
    "microwave": _microwave,
    "coffee": _coffee,
    "utensils": _utensils,
    "tins": _tins,
    "books": _books,
}
"""Kind -> generator -> [(shape, material), ...]."""

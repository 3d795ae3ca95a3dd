"""Colours and materials that go together, surface by surface."""

import numpy as np

from casher_sim.procedural_materials import Material

WORKTOPS = (
    Material("stone", (0.22, 0.22, 0.24), (0.50, 0.50, 0.52), 0.30),
    Material("stone", (0.62, 0.60, 0.57), (0.36, 0.33, 0.30), 0.30),
    Material("stone", (0.80, 0.78, 0.74), (0.58, 0.54, 0.50), 0.25),
    Material("marble", (0.93, 0.92, 0.90), (0.52, 0.52, 0.55), 0.90),
    Material("marble", (0.16, 0.17, 0.19), (0.62, 0.60, 0.56), 0.90),
    Material("terrazzo", (0.88, 0.86, 0.82), (0.62, 0.44, 0.36), 0.35),
    Material("block", (0.76, 0.57, 0.36), (0.56, 0.37, 0.20), 0.40),
    Material("block", (0.52, 0.34, 0.20), (0.34, 0.20, 0.11), 0.40),
    Material("wood", (0.83, 0.68, 0.48), (0.66, 0.49, 0.30), 0.45),
    Material("plain", (0.92, 0.92, 0.90), size_m=0.8),
    Material("plain", (0.30, 0.32, 0.34), size_m=0.8),
    Material("brushed", (0.72, 0.73, 0.75), size_m=0.5),
)
FRONTS = (
    Material("plain", (0.93, 0.92, 0.89)),
    Material("plain", (0.85, 0.83, 0.76)),
    Material("plain", (0.30, 0.38, 0.36)),
    Material("plain", (0.25, 0.31, 0.42)),
    Material("plain", (0.62, 0.68, 0.62)),
    Material("plain", (0.42, 0.43, 0.45)),
    Material("plain", (0.75, 0.79, 0.82)),
    Material("plain", (0.60, 0.28, 0.22)),
    Material("wood", (0.78, 0.62, 0.42), (0.62, 0.45, 0.27), 0.45),
    Material("wood", (0.52, 0.35, 0.22), (0.36, 0.22, 0.13), 0.45),
    Material("wood", (0.86, 0.77, 0.62), (0.74, 0.62, 0.46), 0.50),
)
TILES = (
    Material("subway tiles", (0.94, 0.94, 0.92), (0.70, 0.69, 0.67), 0.45),
    Material("subway tiles", (0.55, 0.66, 0.62), (0.85, 0.84, 0.80), 0.45),
    Material("square tiles", (0.90, 0.86, 0.78), (0.72, 0.66, 0.58), 0.60),
    Material("square tiles", (0.92, 0.93, 0.95), (0.62, 0.66, 0.70), 0.40),
    Material("stacked tiles", (0.36, 0.46, 0.56), (0.80, 0.80, 0.78), 0.50),
    Material("stacked tiles", (0.88, 0.80, 0.74), (0.96, 0.94, 0.91), 0.50),
    Material("mosaic", (0.62, 0.70, 0.72), (0.90, 0.90, 0.88), 0.30),
    Material("marble", (0.92, 0.91, 0.90), (0.60, 0.60, 0.62), 1.10),
    Material("plain", (0.86, 0.83, 0.76)),
    Material("brushed", (0.74, 0.75, 0.76), size_m=0.6),
)
WALLS = (
    (0.95, 0.94, 0.91),
    (0.90, 0.86, 0.78),
    (0.80, 0.84, 0.82),
    (0.86, 0.84, 0.88),
    (0.72, 0.76, 0.80),
    (0.93, 0.88, 0.82),
)
FLOORS = (
    Material("planks", (0.66, 0.50, 0.34), (0.48, 0.34, 0.21), 0.70),
    Material("planks", (0.45, 0.36, 0.29), (0.32, 0.25, 0.19), 0.70),
    Material("planks", (0.80, 0.72, 0.60), (0.66, 0.57, 0.45), 0.70),
    Material("square tiles", (0.70, 0.68, 0.64), (0.50, 0.48, 0.45), 1.40),
    Material("square tiles", (0.72, 0.50, 0.38), (0.56, 0.46, 0.40), 1.10),
    Material("terrazzo", (0.82, 0.81, 0.78), (0.45, 0.45, 0.44), 0.60),
)
BASINS = (
    Material("brushed", (0.74, 0.75, 0.77), size_m=0.4),
    Material("brushed", (0.68, 0.69, 0.71), size_m=0.4),
    Material("plain", (0.95, 0.95, 0.94), size_m=0.5),
    Material("stone", (0.24, 0.24, 0.25), (0.40, 0.40, 0.40), 0.25),
    Material("plain", (0.80, 0.74, 0.66), size_m=0.5),
)
INSIDES = (
    Material("wood", (0.88, 0.80, 0.68), (0.78, 0.68, 0.54), 0.6),
    Material("plain", (0.92, 0.91, 0.88)),
)
METALS = ((0.82, 0.84, 0.87), (0.20, 0.20, 0.21), (0.74, 0.58, 0.34), (0.66, 0.66, 0.66))
BRIGHTS = (
    (0.75, 0.20, 0.17),
    (0.90, 0.70, 0.20),
    (0.22, 0.42, 0.62),
    (0.30, 0.52, 0.33),
    (0.92, 0.91, 0.88),
    (0.88, 0.50, 0.24),
)


def sample_palette(g):
    """np.random.Generator -> {name of a surface: Material}."""

    def varied(material):
        shade = g.uniform(0.92, 1.05)
        first, second = ((np.clip(np.array(c) * shade, 0, 1)).tolist() for c in (material.colour, material.second))
        return Material(material.pattern, tuple(first), tuple(second), material.size_m, int(g.integers(1000)))

    def one(materials):
        return varied(materials[g.integers(len(materials))])

    def plain(colours):
        return varied(Material("plain", colours[g.integers(len(colours))], size_m=0.6))

    front = one(FRONTS)
    metal = plain(METALS)
    return {
        "worktop": one(WORKTOPS),
        "front": front,
        "upper": one(FRONTS) if g.random() < 0.35 else front,
        "inside": one(INSIDES),
        "board": one(FRONTS[-3:]),
        "splash": one(TILES),
        "wall": plain(WALLS),
        "floor": one(FLOORS),
        "basin": one(BASINS),
        "metal": metal,
        "handle": metal if g.random() < 0.6 else plain(METALS),
        "dark": Material("plain", (0.10, 0.10, 0.11)),
        "glass": Material("plain", (0.70, 0.80, 0.86), size_m=0.6),
        "sky": Material("clouds", (0.62, 0.80, 0.96), (0.95, 0.97, 1.0), 1.6, int(g.integers(1000))),
        "white": Material("plain", (0.94, 0.94, 0.92), size_m=0.6),
        "steel": Material("brushed", (0.72, 0.73, 0.75), size_m=0.4),
        "leaf": Material("stone", (0.24, 0.46, 0.20), (0.36, 0.58, 0.28), 0.15),
        "wood": Material("wood", (0.72, 0.52, 0.32), (0.54, 0.36, 0.20), 0.25),
        "clay": plain(((0.74, 0.45, 0.32), (0.86, 0.82, 0.76), (0.40, 0.45, 0.50))),
        "bright": plain(BRIGHTS),
        "bright2": plain(BRIGHTS),
        "paper": Material("plain", (0.96, 0.96, 0.94), size_m=0.3),
    }  # fmt: skip

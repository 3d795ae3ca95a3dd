"""Sites, spawns and the handle of a twin in USD, written and read back: an Xform each, its sizes as custom data."""

import math

import numpy as np
from pxr import Gf, UsdGeom

from casher_sim.twin import Handle, Site, Spawn

SITES, SPAWNS, HANDLE = "Sites", "Spawns", "handle"
"""Prims below the kitchen; the handle is below the body that it opens."""
_KEY = "casher"


def add_places(stage, root, twin, path_of_body):
    """Write all places of a twin below the prim `root`; path_of_body: body's name -> Sdf.Path."""
    path = root.GetPath()
    for scope in (SITES, SPAWNS):
        UsdGeom.Scope.Define(stage, path.AppendChild(scope))
    for name, site in twin.sites.items():
        _xform(
            stage, path.AppendChild(SITES).AppendChild(name), site.position, half_size=site.half_size, rim_z=site.rim_z
        )
    for name, spawn in twin.spawns.items():
        xform = _xform(stage, path.AppendChild(SPAWNS).AppendChild(name), spawn.center, half_size=spawn.half_size)
        xform.AddRotateZOp().Set(math.degrees(spawn.yaw))
    if twin.handle is not None:
        h = twin.handle
        _xform(
            stage,
            path_of_body[h.body].AppendChild(HANDLE),
            h.position,
            axis=h.axis,
            outward=h.outward,
            length=h.length,
            thickness=h.thickness,
        )


def read_sites(root):
    """-> {name: twin.Site} in the frame of the prim `root`."""
    return {
        prim.GetName(): Site(_position(prim), _tuple(prim, "half_size"), _data(prim)["rim_z"])
        for prim in root.GetChild(SITES).GetChildren()
    }


def read_spawns(root):
    """-> {side: twin.Spawn} in the frame of the prim `root`."""
    return {
        prim.GetName(): Spawn(
            _position(prim),
            _tuple(prim, "half_size"),
            math.radians(prim.GetAttribute("xformOp:rotateZ").Get()),
        )
        for prim in root.GetChild(SPAWNS).GetChildren()
    }


def read_handle(root):
    """-> twin.Handle in the frame of the prim `root` with every joint at 0, or None."""
    for body in root.GetChildren():
        prim = body.GetChild(HANDLE)
        if prim:
            data = _data(prim)
            return Handle(
                body.GetName(),
                _position(prim),
                _tuple(prim, "axis"),
                _tuple(prim, "outward"),
                data["length"],
                data["thickness"],
            )
    return None


def _xform(stage, path, position, **data):
    xform = UsdGeom.Xform.Define(stage, path)
    xform.AddTranslateOp().Set(Gf.Vec3d(*map(float, position)))
    for key, value in data.items():
        value = [float(v) for v in value] if isinstance(value, tuple) else float(value)
        if isinstance(value, list):
            value = Gf.Vec2d(value) if len(value) == 2 else Gf.Vec3d(value)
        xform.GetPrim().SetCustomDataByKey(f"{_KEY}:{key}", value)
    return xform


def _position(prim):
    return tuple(map(float, prim.GetAttribute("xformOp:translate").Get()))


def _data(prim):
    return prim.GetCustomDataByKey(_KEY)


def _tuple(prim, key):
    return tuple(np.asarray(_data(prim)[key], dtype=float).tolist())

"""How a TexturedMesh looks in USD: a mesh, a UsdPreviewSurface, and its texture as a PNG beside the stage."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image
from pxr import Gf, Sdf, UsdGeom, UsdShade, Vt

from casher_sim.usd_physics import triangles

_ROUGHNESS = 0.8


def textures_folder(out):
    """Path of a stage -> Path of the folder of its textures, beside it."""
    return out.with_name(f"{out.stem}_textures")


def draw(stage, path, mesh, looks, textures):
    """Add a TexturedMesh, vertices in metres in the frame of the prim above `path` -> its prim.

    looks: Sdf.Path of the Scope of the materials; textures: existing folder for PNG files, beside the stage.
    """
    drawn = UsdGeom.Mesh.Define(stage, path)
    triangles(drawn, mesh.vertices, mesh.faces)
    drawn.CreateDoubleSidedAttr(True)  # a scan is a shell
    colours = _linear(mesh.colours)
    uniform = bool((mesh.colours == mesh.colours[:1]).all())
    colour = drawn.CreateDisplayColorPrimvar(UsdGeom.Tokens.constant if uniform else UsdGeom.Tokens.vertex)
    colour.Set(Vt.Vec3fArray.FromNumpy(colours[:1] if uniform else colours))
    if mesh.texture is not None:
        primvars = UsdGeom.PrimvarsAPI(drawn)
        st = primvars.CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
        st.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(mesh.uv, dtype=np.float32)))
        name, tint = _save(mesh.texture, textures), colours.mean(axis=0)
        material = _look(stage, looks, f"textured_{Path(name).stem}_{_hex(tint)}")
        _texture(stage, material, f"./{textures.name}/{name}", tint)
    elif uniform:
        material = _look(stage, looks, f"colour_{_hex(colours[0])}")
        _surface(stage, material).CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(
            Gf.Vec3f(*map(float, colours[0]))
        )
    else:
        material = _look(stage, looks, "vertex_colours")
        _reader(stage, material, "displayColor", "float3", Sdf.ValueTypeNames.Float3)
    UsdShade.MaterialBindingAPI.Apply(drawn.GetPrim()).Bind(material)
    return drawn.GetPrim()


def _look(stage, looks, name):
    return UsdShade.Material.Define(stage, Sdf.Path(looks).AppendChild(name))


def _surface(stage, material):
    shader = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("surface"))
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(_ROUGHNESS)
    shader.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
    material.CreateSurfaceOutput().ConnectToSource(shader.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return shader


def _reader(stage, material, primvar, kind, output_type):
    """A primvar as the diffuse colour."""
    reader = UsdShade.Shader.Define(stage, material.GetPath().AppendChild(primvar))
    reader.CreateIdAttr(f"UsdPrimvarReader_{kind}")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set(primvar)
    result = reader.CreateOutput("result", output_type)
    _surface(stage, material).CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(result)


def _texture(stage, material, file, tint):
    st = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("st"))
    st.CreateIdAttr("UsdPrimvarReader_float2")
    st.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    image = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("texture"))
    image.CreateIdAttr("UsdUVTexture")
    image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(file)
    image.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
    image.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*map(float, tint), 1.0))
    for axis in ("wrapS", "wrapT"):
        image.CreateInput(axis, Sdf.ValueTypeNames.Token).Set("repeat")
    uv = st.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(uv)
    rgb = image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    _surface(stage, material).CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(rgb)


def _save(texture, folder):
    """By content, so that meshes which share a texture share the file."""
    name = f"{hashlib.sha256(texture.tobytes()).hexdigest()[:12]}.png"
    if not (folder / name).exists():
        Image.fromarray(texture).save(folder / name)
    return name


def _linear(srgb):
    """(N, 3) uint8 sRGB -> (N, 3) float32 linear, as USD's colours are (IEC 61966-2-1)."""
    c = srgb / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _hex(linear):
    return "".join(f"{round(float(c) * 255):02x}" for c in linear)

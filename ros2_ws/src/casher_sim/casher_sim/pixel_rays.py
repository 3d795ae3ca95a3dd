"""The loops of part_renderer.py: the rays through a camera's pixels against moving triangles.

Every triangle is tested against the rays of the pixels in the rectangle that it projects into, so nothing has to be
rebuilt when parts move. In the camera's frame a ray d with d_z = 1 meets the triangle a, b, c if e_a = d.(b x c) / V,
e_b and e_c likewise are not negative, V = a.(b x c); at the depth t = 1 / (e_a + e_b + e_c) along the optical axis.
"""

import numpy as np

from casher_perception.compiled import compiled

NOTHING = -1
"""In the place of a triangle's index: the ray hit none."""
UNCHANGED = -2
"""In the same place: the pixel has its colour already."""
_NEAR_M = 0.01
_SLACK = 1e-9
"""Of the e [1/m], for rounding: no ray slips between two triangles."""


@compiled()
def place(vertices, frame_of_vertex, T_camera_frame, placed):
    """Write vertices (V, 3) [m], each in its own frame, as placed (V, 3) in the camera's; T_camera_frame (L, 4, 4)."""
    for i in range(len(vertices)):
        T = T_camera_frame[frame_of_vertex[i]]
        x, y, z = vertices[i]
        for r in range(3):
            placed[i, r] = T[r, 0] * x + T[r, 1] * y + T[r, 2] * z + T[r, 3]


@compiled()
def cast(placed, triangles, chosen, fx, fy, cx, cy, depth, hit, weights):
    """Keep the nearest hit of every pixel: depth (H, W) [m], hit (H, W) triangle, weights (H, W, 2) of corners b, c.

    chosen: indices of the triangles (F, 3) to test; placed (V, 3): their corners in the camera's frame [m].
    """
    height, width = depth.shape
    for k in chosen:
        i, j, m = triangles[k]
        ax, ay, az = placed[i]
        bx, by, bz = placed[j]
        cx_, cy_, cz = placed[m]
        if az < _NEAR_M and bz < _NEAR_M and cz < _NEAR_M:
            continue
        u0, u1, v0, v1 = 0, width - 1, 0, height - 1
        if az >= _NEAR_M and bz >= _NEAR_M and cz >= _NEAR_M:
            ua, ub, uc = fx * ax / az + cx, fx * bx / bz + cx, fx * cx_ / cz + cx
            va, vb, vc = fy * ay / az + cy, fy * by / bz + cy, fy * cy_ / cz + cy
            low_u, high_u, low_v, high_v = min(ua, ub, uc), max(ua, ub, uc), min(va, vb, vc), max(va, vb, vc)
            if high_u < 0 or high_v < 0 or low_u > width - 1 or low_v > height - 1:
                continue
            u0, u1 = max(u0, int(np.ceil(low_u - 1e-6))), min(u1, int(np.floor(high_u + 1e-6)))
            v0, v1 = max(v0, int(np.ceil(low_v - 1e-6))), min(v1, int(np.floor(high_v + 1e-6)))
            if u0 > u1 or v0 > v1:
                continue  # between the pixels
        nax, nay, naz = by * cz - bz * cy_, bz * cx_ - bx * cz, bx * cy_ - by * cx_
        nbx, nby, nbz = cy_ * az - cz * ay, cz * ax - cx_ * az, cx_ * ay - cy_ * ax
        ncx, ncy, ncz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        volume = ax * nax + ay * nay + az * naz
        if volume == 0.0:
            continue  # seen from its edge
        inverse_volume = 1.0 / volume
        nax, nay, naz = nax * inverse_volume, nay * inverse_volume, naz * inverse_volume
        nbx, nby, nbz = nbx * inverse_volume, nby * inverse_volume, nbz * inverse_volume
        ncx, ncy, ncz = ncx * inverse_volume, ncy * inverse_volume, ncz * inverse_volume
        for v in range(v0, v1 + 1):
            y = (v - cy) / fy
            # Along a row each e grows or falls: the ends of where all are positive, and one pixel more for rounding.
            low, high = _span(nax, nay * y + naz, -np.inf, np.inf)
            low, high = _span(nbx, nby * y + nbz, low, high)
            low, high = _span(ncx, ncy * y + ncz, low, high)
            if not low <= high + 2.0 / fx:
                continue
            first = max(float(u0), np.ceil(low * fx + cx) - 1.0)
            last = min(float(u1), np.floor(high * fx + cx) + 1.0)
            for u in range(int(first), int(last) + 1):
                x = (u - cx) / fx
                ea = nax * x + (nay * y + naz)
                eb = nbx * x + (nby * y + nbz)
                ec = ncx * x + (ncy * y + ncz)
                if ea < -_SLACK or eb < -_SLACK or ec < -_SLACK:
                    continue
                total = ea + eb + ec
                if total <= 0.0:
                    continue  # behind the camera
                t = 1.0 / total
                if t < depth[v, u]:
                    depth[v, u] = t
                    hit[v, u] = k
                    weights[v, u, 0], weights[v, u, 1] = eb * t, ec * t


@compiled()
def _span(slope, offset, low, high):
    """low .. high cut down to where slope * x + offset >= 0."""
    if slope > 0:
        return max(low, -offset / slope), high
    if slope < 0:
        return low, min(high, -offset / slope)
    return (low, high) if offset >= 0 else (np.inf, -np.inf)


@compiled()
def shade(
    placed, triangles, part_of_triangle, corner_colours, corner_uv, texels, textures, recolour, lamp, ambient, gains,
    background, hit, weights, image,
):  # fmt: skip
    """Write image (H, W, 3) uint8, but for the pixels whose hit is UNCHANGED.

    textures (P, 3): first texel, height, width of each part's texture, height 0 for none; recolour (P, 3, 3); lamp (3,)
    in the camera's frame.
    """
    height, width = hit.shape
    for v in range(height):
        for u in range(width):
            k = hit[v, u]
            if k == UNCHANGED:
                continue
            if k == NOTHING:
                for c in range(3):
                    image[v, u, c] = np.uint8(min(255.0, background[c] * gains[c] + 0.5))
                continue
            i, j, m = triangles[k]
            wb, wc = weights[v, u, 0], weights[v, u, 1]
            wa = 1.0 - wb - wc
            red = wa * corner_colours[i, 0] + wb * corner_colours[j, 0] + wc * corner_colours[m, 0]
            green = wa * corner_colours[i, 1] + wb * corner_colours[j, 1] + wc * corner_colours[m, 1]
            blue = wa * corner_colours[i, 2] + wb * corner_colours[j, 2] + wc * corner_colours[m, 2]
            part = part_of_triangle[k]
            first, rows, columns = textures[part]
            if rows > 0:
                s = wa * corner_uv[i, 0] + wb * corner_uv[j, 0] + wc * corner_uv[m, 0]
                t = wa * corner_uv[i, 1] + wb * corner_uv[j, 1] + wc * corner_uv[m, 1]
                s, t = s - np.floor(s), 1.0 - t
                t -= np.floor(t)  # a texture repeats outside of 0..1
                texel = texels[first + min(int(t * rows), rows - 1) * columns + min(int(s * columns), columns - 1)]
                red, green, blue = red * texel[0] / 255.0, green * texel[1] / 255.0, blue * texel[2] / 255.0
            px, py, pz = placed[j] - placed[i]
            qx, qy, qz = placed[m] - placed[i]
            nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            cosine = abs(nx * lamp[0] + ny * lamp[1] + nz * lamp[2]) / max(length, 1e-30)
            brightness = ambient + (1.0 - ambient) * cosine
            M = recolour[part]
            for c in range(3):
                value = (M[c, 0] * red + M[c, 1] * green + M[c, 2] * blue) * brightness * gains[c]
                image[v, u, c] = np.uint8(min(255.0, max(0.0, value)) + 0.5)

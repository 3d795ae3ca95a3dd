"""How blurred the edges of a detected board are, in each of its two directions."""

import cv2
import numpy as np

_ALONG = np.linspace(0.25, 0.75, 9)
"""Where an edge between two neighbouring corners is crossed, as a share of it."""
_STEP_PX = 0.25


def edge_blur_px(grey, ids, pixels, board):
    """Blur (standard deviation) of the edges [pixels], in the worse direction; nan without neighbouring corners.

    From each edge's steepest slope: a step of height h blurred by sigma has the slope h / (sigma sqrt(2 pi)). An edge
    is averaged along its length first, so that noise does not look like slope.
    """
    columns = board.squares_x - 1
    place = np.full((board.squares_y - 1, columns, 2), np.nan)
    place[ids // columns, ids % columns] = pixels
    # half of the white margin around a marker: what lies farther out is another edge
    reach = 0.5 + 0.5 * (1 - board.marker_m / board.square_m) / 2
    blurs = [
        _blur(grey, start, end, reach)
        for start, end in (
            (place[:, :-1].reshape(-1, 2), place[:, 1:].reshape(-1, 2)),
            (place[:-1].reshape(-1, 2), place[1:].reshape(-1, 2)),
        )
    ]
    return float(np.nanmax(blurs)) if np.isfinite(blurs).any() else float("nan")


def _blur(grey, start, end, reach):
    """Median blur of the edges from `start` to `end` (n, 2); those with a nan do not count."""
    seen = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    if not seen.any():
        return float("nan")
    start, edge = start[seen], (end - start)[seen]
    length = np.linalg.norm(edge, axis=1, keepdims=True)
    normal = np.stack([-edge[:, 1], edge[:, 0]], axis=1) / length
    half = np.arange(0, float(np.median(length)) * (reach - 0.5) * 2 + 1.0, _STEP_PX)
    across = np.concatenate([-half[:0:-1], half])
    points = (start[:, None] + edge[:, None] * _ALONG[None, :, None])[:, :, None] + (
        normal[:, None, None] * across[None, None, :, None]
    )
    maps = points.astype(np.float32).reshape(len(points), -1, 2)
    values = cv2.remap(grey.astype(np.float32), maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    profiles = values.reshape(len(points), len(_ALONG), len(across)).mean(axis=1)
    height = np.ptp(profiles, axis=1)
    lag = round(1.0 / _STEP_PX)
    slope = np.abs(profiles[:, lag:] - profiles[:, :-lag]).max(axis=1)
    return float(np.median(height / (np.maximum(slope, 1e-6) * np.sqrt(2 * np.pi))))

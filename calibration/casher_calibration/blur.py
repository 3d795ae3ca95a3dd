"""Blur: how wide the edges of a detected board are, and whether a board too blurred to be read is there at all."""

import cv2
import numpy as np

_ALONG = np.linspace(0.25, 0.75, 9)
"""Where an edge between two neighbouring corners is crossed, as a share of it."""
_STEP_PX = 0.25
_LATTICE = 4
_LEAST_CONTRAST = 12.0
_MOST = 250


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


def looks_chequered(grey):
    """Whether the image holds a chequered pattern, which outlasts a blur that makes its markers unreadable.

    Corners of squares are saddles of brightness; along a row, rising and falling diagonals alternate. Sought are
    saddles with opposite neighbours on both sides, in two directions.
    """
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32)
    return any(_lattice_points(half, sigma) >= _LATTICE for sigma in (1.0, 1.5, 2.0))


def _lattice_points(image, sigma):
    """How many saddles have opposite saddles on both sides in two directions."""
    points, direction, strength = _saddles(cv2.GaussianBlur(image, (0, 0), sigma), sigma)
    if len(points) < _LATTICE:
        return 0
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    alike = strength[:, None] < 4 * strength[None]
    opposite = (direction @ direction.T < -0.85) & alike & alike.T & (distance > 4)
    count = 0
    for i in range(len(points)):
        near = np.flatnonzero(opposite[i])
        near = near[np.argsort(distance[i, near])][:8]
        mirrored = 2 * points[i] - points[near]
        gap = np.linalg.norm(mirrored[:, None] - points[near][None], axis=2)
        paired = (gap < 0.15 * distance[i, near][:, None] + 0.7).any(axis=1)
        ways = (points[near] - points[i])[paired] / distance[i, near][paired][:, None]
        if len(ways) and np.abs(ways[:, :1] * ways[:, 1:].T - ways[:, 1:] * ways[:, :1].T).max() > 0.6:
            count += 1
    return count


def _saddles(smooth, sigma):
    """Strongest saddles of brightness: (n, 2) pixels, (n, 2) direction (twice the angle), (n,) strength."""
    xx, yy = cv2.Sobel(smooth, cv2.CV_32F, 2, 0) / 4, cv2.Sobel(smooth, cv2.CV_32F, 0, 2) / 4
    xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1) / 4
    saddle = xy * xy - xx * yy
    size = 2 * int(np.ceil(2 * sigma)) + 1
    least = (_LEAST_CONTRAST / (np.pi * (sigma**2 + 1))) ** 2  # of a step of that height, blurred by sigma
    rows, columns = np.nonzero((saddle == cv2.dilate(saddle, np.ones((size, size)))) & (saddle > least))
    strongest = np.argsort(-saddle[rows, columns])[:_MOST]
    rows, columns = rows[strongest], columns[strongest]
    direction = np.stack([(xx - yy)[rows, columns], 2 * xy[rows, columns]], axis=1)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-12)
    return np.stack([columns, rows], axis=1).astype(float), direction, np.sqrt(saddle[rows, columns])

"""Why an image of a board gives no usable corners: another layout, another dictionary, mirrored, blurred."""

import cv2
import numpy as np

from casher_calibration.blur import looks_chequered
from casher_calibration.board import Board, BoardError
from casher_calibration.detection import BoardProblem

_FAMILIES = (
    "DICT_4X4_1000",
    "DICT_5X5_1000",
    "DICT_6X6_1000",
    "DICT_7X7_1000",
    "DICT_ARUCO_ORIGINAL",
    "DICT_APRILTAG_36h11",
)
ENOUGH = 4
"""Markers that cannot be there by chance."""
_RATIO_TOLERANCE = 0.06

_NO_BOARD = (
    "there is no readable board in the image: move it into the camera's view, nearer, facing it; if it is there, let "
    "the arm settle and look for blur and glare"
)


def layout_problem(marker_corners, marker_ids, board):
    """BoardProblem if the markers found do not lie as on `board`, else None.

    marker_corners: (n arrays of (1, 4, 2)) pixels; marker_ids: (n,). One stray marker is not a wrong board.
    """
    image = np.array([corners.reshape(4, 2) for corners in marker_corners], dtype=np.float64)
    inside = _lying_as_on(image, marker_ids, board)
    strange = len(marker_ids) - int(inside.sum())
    if strange >= 2 and len(marker_ids) >= ENOUGH:
        guess = _guess_layout(image, marker_ids, board)
        if guess or strange > 0.3 * len(marker_ids):
            seen = (
                f"it looks like {guess[0]} x {guess[1]} squares" if guess else f"{strange} of {len(marker_ids)} do not"
            )
            return BoardProblem(
                "wrong_size",
                f"the markers do not lie as on a board of {board.squares_x} x {board.squares_y} squares ({seen}): "
                "state the board that is there, or print the stated one with 'casher calibrate board'",
            )
    return None


def ratio_problem(marker_corners, marker_ids, board):
    """BoardProblem if the markers found are larger or smaller than stated, relative to the squares, else None."""
    image = np.array([corners.reshape(4, 2) for corners in marker_corners], dtype=np.float64)
    inside = _lying_as_on(image, marker_ids, board)
    if inside.sum() < ENOUGH:
        return None
    ratio, square_px = _marker_ratio(image[inside], marker_ids[inside], board)
    stated = board.marker_m / board.square_m
    # blur makes white eat into the markers, by up to a pixel on each side
    if abs(ratio - stated) <= max(_RATIO_TOLERANCE * stated, 2.5 / square_px):
        return None
    return BoardProblem(
        "wrong_size",
        f"markers are {ratio:.2f} of a square wide, stated are {stated:.2f} ({board.marker_m} of {board.square_m} m): "
        "measure both on the print and state them",
    )


def diagnose(grey, board, markers, corners):
    """The BoardProblem of an image in which `markers` markers and `corners` corners, too few, were found."""
    own = board.dictionary
    for name in _FAMILIES:
        if name[:8] == own[:8]:
            continue
        ids = _marker_ids(grey, name)
        if len(ids) >= ENOUGH and len(ids) > markers:
            found = name.rsplit("_", 1)[0] if name.endswith("_1000") else name
            return BoardProblem(
                "wrong_dictionary",
                f"the board carries markers of {found}, stated is {own}: state the dictionary that is there, or print "
                "the stated board with 'casher calibrate board'",
            )
    if (found := len(_marker_ids(cv2.flip(grey, 1), own))) >= ENOUGH and found > markers:
        return BoardProblem(
            "mirrored",
            "the board is mirrored: print it without mirroring and on the front of the sheet, and if the print is "
            "right switch off the camera's mirroring",
        )
    if looks_chequered(grey):
        return BoardProblem(
            "blurred",
            "something chequered is there, but its markers cannot be read: the image is blurred (let the arm settle, "
            "give the camera more light or a shorter exposure, bring the board into focus), or the board is too far",
        )
    if markers:
        return BoardProblem(
            "too_few_corners",
            f"only {corners} corners of the board are found ({markers} markers): move the board wholly into the image, "
            "nearer, or tilt it less; look for glare on it",
        )
    return BoardProblem("no_board", _NO_BOARD)


def _marker_ids(grey, dictionary):
    """Distinct ids found."""
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
    ids = cv2.aruco.ArucoDetector(known).detectMarkers(grey)[1]
    return set() if ids is None else set(ids.ravel().tolist())


def _object_corners(board):
    """Marker's id -> its corners (4, 2) [squares]."""
    points = np.array(board.cv().getObjPoints(), dtype=np.float64)[..., :2] / board.square_m
    return dict(enumerate(points))


def _lying_as_on(image, marker_ids, board):
    """(n,) bool: which markers lie where a homography of the whole board puts them."""
    objects = _object_corners(board)
    known = np.array([marker in objects for marker in marker_ids])
    if known.sum() < 2:
        return known
    flat = np.array([objects[marker] for marker in marker_ids[known]])
    source, target = flat.reshape(-1, 2), image[known].reshape(-1, 2)
    if known.sum() >= ENOUGH:  # the centres do not depend on the markers' size, which is checked apart
        source, target = flat.mean(axis=1), np.array([_crossing(corners) for corners in image[known]])
    side = float(np.median(np.linalg.norm(image[:, 1] - image[:, 0], axis=1)))
    H, _ = cv2.findHomography(source, target, cv2.RANSAC, max(2.0, 0.15 * side))
    inside = np.zeros(len(marker_ids), dtype=bool)
    if H is not None:
        error = np.linalg.norm(_apply(H, source) - target, axis=-1)
        inside[known] = error.reshape(known.sum(), -1).max(axis=1) < max(3.0, 0.3 * side)
    return inside


def _guess_layout(image, marker_ids, board):
    """(squares_x, squares_y) on which the markers lie as they do, or None."""
    for squares_x in range(3, 15):
        for squares_y in range(3, 15):
            try:
                other = Board(squares_x, squares_y, board.square_m, board.marker_m, board.dictionary)
            except BoardError:
                continue
            if len(_object_corners(other)) > marker_ids.max() and _lying_as_on(image, marker_ids, other).mean() > 0.9:
                return squares_x, squares_y
    return None


def _marker_ratio(image, marker_ids, board):
    """(side of a marker as a share of a square's, side of a square [pixels]), from a homography of the centres."""
    objects = _object_corners(board)
    flat = np.array([objects[marker] for marker in marker_ids])
    H, _ = cv2.findHomography(flat.mean(axis=1), np.array([_crossing(corners) for corners in image]), 0)
    if H is None or abs(np.linalg.det(H)) < 1e-12:  # markers in one line
        return board.marker_m / board.square_m, 1.0
    sides = np.linalg.norm(np.roll(image, -1, axis=1) - image, axis=-1)
    seen = _apply(np.linalg.inv(H), image)
    shares = np.linalg.norm(np.roll(seen, -1, axis=1) - seen, axis=-1)
    return float(np.median(shares)), float(np.median(sides) / np.median(shares))


def _crossing(corners):
    """Where the diagonals of a marker (4, 2) cross: there its centre is seen, unlike in the mean of the corners."""
    a, b, c, d = corners
    t = np.linalg.solve(np.stack([c - a, b - d], axis=1), b - a)
    return a + t[0] * (c - a)


def _apply(H, points):
    """Homography (3, 3) on points (..., 2)."""
    mapped = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1) @ H.T
    return mapped[..., :2] / mapped[..., 2:]

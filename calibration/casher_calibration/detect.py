"""Find the ChArUco board in an image: corners to a fraction of a pixel, or a BoardProblem that says what to do."""

from functools import lru_cache

import cv2
import numpy as np

from casher_calibration.blur import edge_blur_px
from casher_calibration.detection import BoardProblem, Detection
from casher_calibration.diagnose import diagnose, layout_problem, ratio_problem

MIN_CORNERS = 8
"""Fewer do not give a pose worth having."""
BLUR_LIMIT_PX = 1.7
"""Blur (standard deviation) above which the arm had not settled or the focus is wrong."""


def detect(image_rgb, board, diagnosis=True):
    """Image (height, width, 3) or (height, width) uint8 -> Detection.

    Raises BoardProblem, also when the board is not in the image; `kind` says which. diagnosis=False skips the search
    for why nothing was found (other dictionaries, mirrored), some 100 ms: for live pictures.
    """
    grey = as_grey(image_rgb)
    pixels, ids, marker_corners, marker_ids = _detector(board).detectBoard(grey)
    count = 0 if ids is None else len(ids)
    markers = 0 if marker_ids is None else len(marker_ids)
    if markers and (problem := layout_problem(marker_corners, marker_ids.ravel(), board)) is not None:
        raise problem
    if count < MIN_CORNERS:
        raise diagnose(grey, board, markers, count) if diagnosis else BoardProblem("no_board", "no board in the image")
    ids, pixels = ids.ravel().astype(int), pixels.reshape(-1, 2).astype(float)
    blur = edge_blur_px(grey, ids, pixels, board)
    if blur > BLUR_LIMIT_PX:
        raise BoardProblem(
            "blurred",
            f"the board is blurred (edges {blur:.1f} pixels wide, allowed {BLUR_LIMIT_PX}): let the arm settle, give "
            "the camera more light or a shorter exposure, or bring the board into focus",
        )
    if (problem := ratio_problem(marker_corners, marker_ids.ravel(), board)) is not None:
        raise problem
    warnings = () if markers >= 4 else (f"only {markers} markers were found",)
    return Detection(ids, pixels, markers, blur, warnings)


def as_grey(image):
    """Image -> (height, width) uint8; BoardProblem for what is not an image."""
    image = np.asarray(image)
    if (
        image.dtype != np.uint8
        or image.ndim not in (2, 3)
        or (image.ndim == 3 and image.shape[2] != 3)
        or 0 in image.shape
    ):
        raise BoardProblem("bad_image", f"an image is (height, width, 3) uint8, got {image.shape} {image.dtype}")
    if min(image.shape[:2]) < 64:
        raise BoardProblem("bad_image", f"an image of {image.shape[1]} x {image.shape[0]} pixels is too small")
    return np.ascontiguousarray(image) if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


@lru_cache(8)
def _detector(board):
    return cv2.aruco.CharucoDetector(board.cv())

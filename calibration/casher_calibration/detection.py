"""What was found of a board in one image, and why it cannot be used."""

from dataclasses import dataclass

import numpy as np

PROBLEMS = (
    "bad_image",
    "no_board",
    "wrong_dictionary",
    "mirrored",
    "wrong_size",
    "blurred",
    "too_few_corners",
)
"""Kinds of BoardProblem. `no_board` and `too_few_corners` are ordinary while the arm moves; others want a person."""


class BoardProblem(ValueError):
    """Why an image gives no usable corners, and what to do."""

    def __init__(self, kind, message):
        assert kind in PROBLEMS, kind
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, eq=False)
class Detection:
    """ChArUco corners of one image."""

    ids: np.ndarray
    """(k,) int, rows of Board.corners()."""
    pixels: np.ndarray
    """(k, 2) column and row, sub-pixel; (0, 0) is the centre of the first pixel."""
    markers: int
    """How many ArUco markers were found."""
    blur_px: float = 0.0
    """Width of the edges: standard deviation of the blur in its worse direction."""
    warnings: tuple = ()

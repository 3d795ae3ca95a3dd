"""The ChArUco board that the gripper holds: its layout, its true size, its corners.

Board frame (OpenCV's): origin in the outer corner of the first square, x along the rows, y down the columns as the
print is read, so z points into the paper. A camera that sees the print has z of the board pointing away from it.
"""

from dataclasses import asdict, dataclass, fields

import cv2
import numpy as np

DICTIONARIES = tuple(
    sorted(name for name in dir(cv2.aruco) if name.startswith(("DICT_4X4", "DICT_5X5", "DICT_6X6", "DICT_7X7")))
)
"""Names of OpenCV's ArUco dictionaries that a board may use."""


class BoardError(ValueError):
    """A board that cannot be: says what is wrong, what was given, and what to do."""


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


@dataclass(frozen=True)
class Board:
    """A ChArUco board; the default fits A4 with margins for a printer and a ruler, and is light enough to hold.

    An odd number of rows reads the same in every version of OpenCV; few, large markers are found from farther away.
    """

    squares_x: int = 7
    """Squares in a row."""
    squares_y: int = 5
    """Rows."""
    square_m: float = 0.036
    """Side of a square [m], as measured on the print."""
    marker_m: float = 0.027
    """Side of a marker [m]."""
    dictionary: str = "DICT_4X4_50"
    """Name of an OpenCV ArUco dictionary."""

    def __post_init__(self):
        for name in ("squares_x", "squares_y"):
            count = getattr(self, name)
            if not isinstance(count, int) or isinstance(count, bool) or not 3 <= count <= 40:
                raise BoardError(f"{name} must be a whole number, 3 .. 40, got {count!r}")
        if not all(_is_number(size) for size in (self.square_m, self.marker_m)):
            raise BoardError(f"square_m and marker_m must be numbers, got {self.square_m!r} and {self.marker_m!r}")
        if not 0.003 <= self.square_m <= 0.3:
            raise BoardError(f"square_m must lie in 0.003 .. 0.3 m, got {self.square_m}: is it in millimetres?")
        if not 0.4 * self.square_m <= self.marker_m <= 0.95 * self.square_m:
            raise BoardError(
                f"marker_m must be 0.4 .. 0.95 of square_m ({self.square_m} m), got {self.marker_m}: "
                "a marker lies within a white square"
            )
        if self.dictionary not in DICTIONARIES:
            raise BoardError(f"unknown dictionary {self.dictionary!r}: one of {', '.join(DICTIONARIES)}")
        markers = self.squares_x * self.squares_y // 2
        if (known := len(self._dictionary().bytesList)) < markers:
            raise BoardError(
                f"{self.squares_x} x {self.squares_y} squares need {markers} markers, {self.dictionary} has {known}: "
                "take a larger dictionary or fewer squares"
            )

    def cv(self):
        """This board as cv2.aruco.CharucoBoard."""
        return cv2.aruco.CharucoBoard(
            (self.squares_x, self.squares_y), self.square_m, self.marker_m, self._dictionary()
        )

    def corners(self):
        """Inner corners [m] (K, 3) in the board frame, z = 0; row i is the corner with ChArUco id i."""
        x, y = np.meshgrid(np.arange(1, self.squares_x), np.arange(1, self.squares_y))
        return np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1) * self.square_m

    @property
    def size_m(self):
        """(width, height) [m] of the printed squares."""
        return self.squares_x * self.square_m, self.squares_y * self.square_m

    def centre(self):
        """Middle of the board [m] (3,) in the board frame."""
        return np.array([*self.size_m, 0.0]) / 2

    def to_dict(self):
        """Plain values, for YAML."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """The board of `to_dict()`; BoardError for unknown, missing or impossible values."""
        names = [field.name for field in fields(cls)]
        if not isinstance(values, dict) or set(values) != set(names):
            raise BoardError(f"a board is a mapping with {', '.join(names)}, got {values!r}")
        return cls(**values)

    def _dictionary(self):
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))


BOARDS = {"a4": Board(), "a3": Board(square_m=0.05, marker_m=0.0375)}
"""Boards by the paper they fit: `a4` for cameras up to about 1 m away, `a3` for farther ones."""

"""The board on paper: a page at true scale with the board, two rulers to check the print, and what to state."""

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from casher_calibration.board import BoardError

PAPERS_MM = {"a4": (297.0, 210.0), "a3": (420.0, 297.0), "a2": (594.0, 420.0)}
"""Landscape width and height."""
MARGIN_MM = 13.0
"""Room on every side for rulers, text and what a printer cannot reach."""
RULER_MM = 100.0


def paper_for(board):
    """Name of the smallest paper the board fits on; BoardError when none does."""
    need = [1e3 * size + 2 * MARGIN_MM for size in board.size_m]
    for name, size in PAPERS_MM.items():
        if need[0] <= size[0] and need[1] <= size[1]:
            return name
    largest = PAPERS_MM["a2"]
    raise BoardError(
        f"the board with margins takes {need[0]:.0f} x {need[1]:.0f} mm, A2 is {largest[0]:.0f} x {largest[1]:.0f} mm: "
        "fewer or smaller squares"
    )


def page(board):
    """Board -> matplotlib Figure of the page; its axes' unit is 1 mm of paper, y upwards."""
    width, height = PAPERS_MM[paper_for(board)]
    figure = Figure(figsize=(width / 25.4, height / 25.4))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False)
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    left, top = (width - 1e3 * board.size_m[0]) / 2, (height + 1e3 * board.size_m[1]) / 2
    cells = [(left + x, top - y, w) for x, y, w in black_cells_mm(board)]
    # One path: neighbouring cells of separate ones would leave hairlines of white between them.
    vertices = [[(x, y), (x, y - w), (x + w, y - w), (x + w, y), (x, y)] for x, y, w in cells]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(cells)
    path = Path(np.array(vertices).reshape(-1, 2), codes)
    axes.add_patch(PathPatch(path, facecolor="black", edgecolor="none", linewidth=0))
    _ruler(axes, (width - RULER_MM) / 2, 7.0, along_x=True)
    _ruler(axes, 8.0, (height - RULER_MM) / 2, along_x=False)
    axes.text(width / 2, height - 4.0, _heading(board), fontsize=8, ha="center", va="top")
    return figure


def save_page(board, path, dpi=600):
    """Write the page as .pdf (vectors) or .png -> name of the paper."""
    page(board).savefig(path, dpi=dpi, metadata={"Title": "ChArUco board"})
    return paper_for(board)


def black_cells_mm(board):
    """Black squares of the print -> [(x, y, side)] in mm, x and y of the upper left corner, y downwards."""
    cv, square = board.cv(), 1e3 * board.square_m
    bits = cv.getDictionary().markerSize + 2
    cells, white = [], set()
    for marker, corners in zip(cv.getIds().ravel(), cv.getObjPoints(), strict=True):
        x, y = 1e3 * corners[:, :2].min(axis=0)
        white.add((int(x // square), int(y // square)))
        side = 1e3 * board.marker_m / bits
        image = cv2.aruco.generateImageMarker(cv.getDictionary(), int(marker), bits)
        cells += [(x + column * side, y + row * side, side) for row, column in np.argwhere(image == 0)]
    cells += [
        (column * square, row * square, square)
        for row in range(board.squares_y)
        for column in range(board.squares_x)
        if (column, row) not in white
    ]
    return cells


def _heading(board):
    return (
        f"{board.squares_x} x {board.squares_y} squares of {1e3 * board.square_m:g} mm, "
        f"markers {1e3 * board.marker_m:g} mm, {board.dictionary}.   Print at 100 %, not 'fit to page'. "
        f"Both rulers must measure {RULER_MM:g} mm: else state the square that you measure."
    )


def _ruler(axes, x, y, along_x):
    """100 mm with a tick every 10 mm, from (x, y)."""
    for mm in range(0, int(RULER_MM) + 1, 10):
        length = 3.0 if mm % 50 == 0 else 1.8
        ends = ((mm, mm), (0, length)) if along_x else ((0, length), (mm, mm))
        axes.plot(*(np.add(end, start) for end, start in zip(ends, (x, y), strict=True)), color="black", linewidth=0.4)
    ends = ((0, RULER_MM), (0, 0)) if along_x else ((0, 0), (0, RULER_MM))
    axes.plot(*(np.add(end, start) for end, start in zip(ends, (x, y), strict=True)), color="black", linewidth=0.4)
    label = {"x": x + RULER_MM + 2, "y": y} if along_x else {"x": x, "y": y + RULER_MM + 2, "rotation": 90}
    axes.text(**label, s=f"{RULER_MM:g} mm", fontsize=7, va="bottom", ha="left")

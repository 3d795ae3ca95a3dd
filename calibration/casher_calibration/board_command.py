"""`casher calibrate board`: the board as a page to print."""

import sys
from dataclasses import dataclass
from pathlib import Path

from casher_calibration.board import BOARDS, Board, BoardError


@dataclass(frozen=True)
class BoardArgs:
    """Write the ChArUco board as a PDF at true scale, with rulers to check the print."""

    out: Path = Path("board.pdf")
    """The file, .pdf or .png."""
    paper: str = "a4"
    """a4 for cameras up to about 1 m away, a3 for farther ones: the size of the squares."""
    squares_x: int = 0
    """Squares in a row; by default the paper's."""
    squares_y: int = 0
    """Rows."""
    square_mm: float = 0.0
    """Side of a square."""
    marker_mm: float = 0.0
    """Side of a marker."""
    dictionary: str = ""
    """Name of an OpenCV ArUco dictionary."""
    png: bool = False
    """Write a picture beside the PDF, too."""


def board_of(args):
    """The paper's board with what the arguments say otherwise; BoardError for one that cannot be."""
    if args.paper not in BOARDS:
        raise BoardError(f"unknown paper {args.paper!r}: known are {', '.join(BOARDS)}")
    said = {
        "squares_x": args.squares_x,
        "squares_y": args.squares_y,
        "square_m": args.square_mm / 1e3,
        "marker_m": args.marker_mm / 1e3,
        "dictionary": args.dictionary,
    }
    return Board(**{**BOARDS[args.paper].to_dict(), **{name: value for name, value in said.items() if value}})


def main(args):
    """0, or 2 for a board that cannot be or a file that cannot be written."""
    from casher_calibration.board_print import PAPERS_MM, save_page

    try:
        board = board_of(args)
        if args.out.suffix not in (".pdf", ".png"):
            raise BoardError(f"the file must end in .pdf or .png, got {args.out}")
        paper = save_page(board, args.out)
        written = [args.out]
        if args.png and args.out.suffix != ".png":
            save_page(board, args.out.with_suffix(".png"), dpi=200)
            written.append(args.out.with_suffix(".png"))
    except (BoardError, OSError) as error:
        print(f"casher calibrate board: {error}", file=sys.stderr)
        return 2
    width, height = PAPERS_MM[paper]
    print(f"{', '.join(map(str, written))}: {paper.upper()}, {width:g} x {height:g} mm, landscape. Print at 100 %.")
    print("Measure both rulers: 100 mm. Glue the print on a flat, stiff plate.")
    return 0

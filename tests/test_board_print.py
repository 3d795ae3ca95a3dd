"""The printed board has its true size and is the board that is detected."""

import re
import zlib

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from casher_calibration.board import BOARDS, Board, BoardError
from casher_calibration.board_command import BoardArgs, board_of, main
from casher_calibration.board_print import PAPERS_MM, RULER_MM, black_cells_mm, paper_for, save_page
from casher_calibration.detect import detect

DPI = 254
PIXELS_MM = DPI / 25.4
BOARD = Board(squares_x=8, squares_y=6, square_m=0.030, marker_m=0.0225, dictionary="DICT_5X5_100")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    path = tmp_path_factory.mktemp("print") / "board.png"
    board = BOARDS["a4"]
    save_page(board, path, dpi=DPI)
    return board, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


def test_the_rasterised_page_has_every_corner_where_the_board_says_within_a_tenth_of_a_millimetre(printed):
    board, image = printed
    found = detect(image, board)
    assert len(found.ids) == len(board.corners())
    corners_mm = 1e3 * board.corners()[found.ids, :2]
    on_paper_mm = found.pixels / PIXELS_MM
    offset = on_paper_mm - corners_mm
    assert np.abs(offset - offset.mean(axis=0)).max() < 0.1
    width, height = PAPERS_MM[paper_for(board)]
    np.testing.assert_allclose(image.shape[::-1], [width * PIXELS_MM, height * PIXELS_MM], atol=1)


def test_the_page_is_the_boards_own_picture(printed):
    board, image = printed
    left, top = (
        (paper - 1e3 * size) / 2 for paper, size in zip(PAPERS_MM[paper_for(board)], board.size_m, strict=True)
    )
    rows, columns = (round(1e3 * size * PIXELS_MM) for size in board.size_m[::-1])
    y, x = round(top * PIXELS_MM), round(left * PIXELS_MM)
    page = image[y : y + rows, x : x + columns]
    assert np.abs(page.astype(int) - board.cv().generateImage((columns, rows), marginSize=0)).mean() < 3


def test_the_pdf_says_the_same_sizes_in_points(tmp_path):
    path = tmp_path / "board.pdf"
    save_page(BOARD, path)
    data = path.read_bytes()
    box = [float(v) for v in re.search(rb"/MediaBox \[ *([\d. ]+)\]", data)[1].split()]
    np.testing.assert_allclose(np.array(box[2:]) * 25.4 / 72, PAPERS_MM["a4"], atol=0.01)
    streams = [part.split(b"endstream")[0].strip(b"\r\n") for part in data.split(b"stream\n")[1:]]
    text = b"".join(zlib.decompressobj().decompress(s) for s in streams if s[:1] == b"x").decode("latin1")
    drawn_mm = np.array(re.findall(r"([\d.]+) ([\d.]+) [ml]\b", text), dtype=float) * 25.4 / 72
    cells = np.array(black_cells_mm(BOARD))
    corners = cells[:, :2] * [1, -1] + [(297 - 240) / 2, (210 + 180) / 2]
    distance, _ = cKDTree(drawn_mm).query(corners)
    assert distance.max() < 0.01  # every black cell begins where it should
    rulers = [drawn_mm[np.abs(drawn_mm[:, axis] - at) < 0.01] for axis, at in ((1, 7.0), (0, 8.0))]
    assert [round(float(np.ptp(ruler, axis=0).max()), 2) for ruler in rulers] == [RULER_MM, RULER_MM]


def test_the_page_tells_the_board_and_how_to_print_it():
    from casher_calibration.board_print import page

    (text,) = [item.get_text() for item in page(BOARD).axes[0].texts if "squares" in item.get_text()]
    assert "8 x 6 squares of 30 mm" in text and "22.5 mm" in text and "DICT_5X5_100" in text and "100 %" in text


def test_arguments_change_the_papers_board_and_a_board_that_cannot_be_is_refused(tmp_path, capsys):
    assert board_of(BoardArgs(square_mm=35.7)) == Board(square_m=0.0357)
    assert board_of(BoardArgs(paper="a3")) == BOARDS["a3"]
    assert main(BoardArgs(out=tmp_path / "b.pdf", paper="b5")) == 2
    assert main(BoardArgs(out=tmp_path / "b.txt")) == 2
    assert main(BoardArgs(out=tmp_path / "b.pdf", square_mm=90.0, marker_mm=60.0)) == 2
    assert main(BoardArgs(out=tmp_path / "no/folder/b.pdf")) == 2
    said = capsys.readouterr().err
    assert "known are a4, a3" in said and ".pdf or .png" in said and "fewer or smaller squares" in said
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BoardError, match="in millimetres"):
        board_of(BoardArgs(square_mm=900.0))

"""The board: what it may be, where its corners are."""

import numpy as np
import pytest

from casher_calibration.board import BOARDS, Board, BoardError


def test_corners_are_where_opencv_has_them():
    for board in BOARDS.values():
        assert np.allclose(board.corners(), board.cv().getChessboardCorners())


def test_a_board_survives_the_way_through_a_file():
    board = Board(9, 7, 0.02, 0.015, "DICT_5X5_100")
    assert Board.from_dict(board.to_dict()) == board


def test_the_default_board_fits_on_a4():
    assert sorted(BOARDS["a4"].size_m) < [0.200, 0.287]
    assert sorted(BOARDS["a3"].size_m) < [0.287, 0.410]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"squares_x": 2}, "squares_x"),
        ({"squares_y": 5.0}, "squares_y"),
        ({"square_m": 36}, "millimetres"),
        ({"square_m": float("nan")}, "numbers"),
        ({"marker_m": 0.036}, "within a white square"),
        ({"dictionary": "DICT_9X9"}, "unknown dictionary"),
        ({"squares_x": 20, "squares_y": 20}, "larger dictionary"),
    ],
)
def test_an_impossible_board_is_refused_with_what_to_do(values, told):
    with pytest.raises(BoardError, match=told):
        Board(**values)


def test_a_file_with_an_unknown_field_is_refused():
    with pytest.raises(BoardError, match="squares_x"):
        Board.from_dict({**Board().to_dict(), "colour": "red"})

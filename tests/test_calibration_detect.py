"""Detection on rendered boards, and why a board that cannot be used cannot."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from casher_calibration.board import Board
from casher_calibration.detect import detect
from casher_calibration.detection import BoardProblem
from casher_calibration.pnp import board_pose
from casher_calibration.synthetic import ImageNoise, render
from casher_perception.camera_model import Intrinsics
from casher_perception.geometry import rotation_angle

BOARD = Board()
CAMERA = Intrinsics(960, 540, 690.0, 688.0, 481.0, 268.0)


def placed(board=BOARD, distance_m=0.75, turn=(0.4, -0.3, 0.2)):
    """T_camera_board with the board's middle on the optical axis."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    T[:3, 3] = np.array([0.0, 0.0, distance_m]) - T[:3, :3] @ board.centre()
    return T


def picture(board=BOARD, noise=None, **place):
    return render(board, placed(board, **place), CAMERA, noise, np.random.default_rng(0))


def kind_of(image, board=BOARD):
    with pytest.raises(BoardProblem) as caught:
        detect(image, board)
    return caught.value.kind


def test_corners_and_pose_are_those_that_were_rendered():
    T = placed()
    found = detect(picture(), BOARD)
    true = CAMERA.project(BOARD.corners()[found.ids] @ T[:3, :3].T + T[:3, 3])
    assert len(found.ids) >= 20
    assert np.sqrt(np.mean((found.pixels - true) ** 2)) < 0.1
    seen = board_pose(found, BOARD, CAMERA).T_camera_board
    assert np.linalg.norm(seen[:3, 3] - T[:3, 3]) < 0.002
    assert rotation_angle(seen[:3, :3].T @ T[:3, :3]) < np.deg2rad(0.5)


@pytest.mark.parametrize("layout", [(8, 6), (5, 7), (9, 5), (7, 7)])
def test_a_board_of_another_size_is_named(layout):
    with pytest.raises(BoardProblem, match=f"{layout[0]} x {layout[1]}") as caught:
        detect(picture(Board(*layout, 0.03, 0.0225)), BOARD)
    assert caught.value.kind == "wrong_size"


def test_markers_of_another_size_are_measured():
    with pytest.raises(BoardProblem, match=r"0\.[56]") as caught:
        detect(picture(Board(marker_m=0.0205)), BOARD)
    assert caught.value.kind == "wrong_size"


def test_a_mirrored_print_is_told_from_a_missing_one():
    image = picture()
    assert kind_of(np.ascontiguousarray(image[:, ::-1])) == "mirrored"
    assert kind_of(np.full_like(image, 100)) == "no_board"


def test_the_dictionary_that_is_there_is_named():
    with pytest.raises(BoardProblem, match="DICT_5X5") as caught:
        detect(picture(Board(dictionary="DICT_5X5_50")), BOARD)
    assert caught.value.kind == "wrong_dictionary"


@pytest.mark.parametrize("motion_px", [(6.0, 0.0), (5.0, 5.0), (0.0, 8.0)])
def test_motion_blur_is_refused(motion_px):
    assert kind_of(picture(noise=ImageNoise(motion_px=motion_px))) == "blurred"


def test_a_board_half_out_of_the_image_gives_the_corners_that_are_in_it():
    T = placed()
    T[:3, 3] += [0.5, 0.0, 0.0]
    found = detect(render(BOARD, T, CAMERA, None, np.random.default_rng(0)), BOARD)
    true = CAMERA.project(BOARD.corners()[found.ids] @ T[:3, :3].T + T[:3, 3])
    assert 8 <= len(found.ids) < len(BOARD.corners())
    assert np.abs(found.pixels - true).max() < 0.5


@pytest.mark.parametrize(
    "image", [np.zeros((540, 960), float), np.zeros((540, 960, 4), np.uint8), np.zeros((8, 8), np.uint8)]
)
def test_what_is_no_image_is_refused(image):
    assert kind_of(image) == "bad_image"

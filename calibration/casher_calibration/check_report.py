"""The report of a check: one HTML file with everything in it, and pictures with the reprojections drawn."""

import base64
import html
from pathlib import Path

import cv2
import numpy as np

from casher_calibration.samples import image_path
from casher_perception.geometry import inverse, transform

FOUND, PREDICTED, TOUCHED = (60, 220, 60), (240, 50, 50), (40, 120, 255)
PICTURES = 6
SHOWN_PX = 900
_STYLE = """
body{font:15px system-ui,sans-serif;margin:2em auto;max-width:1200px;color:#222}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}
.pass{color:#0a6b2d}.fail{color:#b00020;font-weight:bold}
.pictures{display:flex;flex-wrap:wrap;gap:1em}figure{margin:0;width:48%}img{width:100%}"""


def write_report(path, folder, session, solution, criteria, rig, touch=None, touch_errors=None, plane=None):
    """Write report.html; `rig` is the Rig that was written."""
    good = all(criterion.passed for criterion in criteria)
    calibration, verdict = rig.calibration, "passed" if good else "FAILED"
    parts = [
        f"<h1>Calibration {_e(calibration.id)}: <span class={_class(good)}>{verdict}</span></h1>",
        f"<p>Kitchen {_e(calibration.kitchen)}, {_e(calibration.date)}, board {_e(calibration.board)}, "
        f"{_e(calibration.software)}; status in the rig file: {_e(calibration.status)}.</p>",
        _table(
            ["", "criterion", "value", "limit", "what to do"],
            [
                [
                    f"<span class={_class(c.passed)}>{'pass' if c.passed else 'FAIL'}</span>",
                    _e(c.name),
                    "not measured" if np.isnan(c.value) else f"{c.value:g}",
                    f"{'at most' if c.most else 'at least'} {c.limit:g}",
                    "" if c.passed else _e(c.do),
                ]
                for c in criteria
            ],
        ),
        "<h2>Cameras</h2>",
        _cameras(session, solution),
        *_sentences("What would help most", solution.advice),
        *_sentences("Warnings", solution.warnings),
        *_sentences("Left out", [_outlier(outlier) for outlier in solution.outliers]),
    ]
    if touch is not None:
        rows = [[_e(error.camera), error.corner, f"{1e3 * error.distance_m:.2f}"] for error in touch_errors]
        parts += ["<h2>Touch test</h2>", _table(["camera", "corner", "distance [mm]"], rows)]
        parts.append(_figures((touch_picture(touch, name, solution), name) for name in touch.images))
    if plane is not None:
        parts.append(
            f"<p>The lying board in the fused cloud: {1e3 * plane.rms_m:.2f} mm about its plane (rms), the cameras' "
            f"planes {1e3 * plane.gap_m:.2f} mm apart.</p>"
        )
    worst = sorted(solution.residuals, key=lambda r: -r.reprojection_px)[:PICTURES]
    parts += [
        "<h2>Views</h2><p>Rings: corners found. Crosses: where calibration and the arm's pose put them. The views that "
        "fit worst.</p>",
        _figures((view_picture(folder, session, solution, r.sample, r.camera), _caption(r, solution)) for r in worst),
        _table(
            ["sample", "camera", "board centre, held out [mm]", "reprojection [px]"],
            [
                [r.sample, _e(r.camera), _held(r, solution), f"{r.reprojection_px:.2f}"]
                for r in sorted(solution.residuals, key=lambda r: (r.sample, r.camera))
            ],
        ),
    ]
    head = f"<meta charset=utf-8><title>{_e(calibration.id)}</title><style>{_STYLE}</style>"
    Path(path).write_text(f"<!doctype html><html lang=en>{head}{''.join(parts)}</html>", encoding="utf-8")


def view_picture(folder, session, solution, index, camera):
    """RGB picture of one view with the corners found and predicted."""
    sample = next(sample for sample in session.samples if sample.index == index)
    image = cv2.imread(str(image_path(folder, index, camera)))[..., ::-1].copy()
    T = solution.T_base_camera[camera]
    if solution.eye_in_hand:
        T_camera_board = inverse(sample.T_base_gripper @ T) @ solution.T_gripper_board
    else:
        T_camera_board = inverse(T) @ sample.T_base_gripper @ solution.T_gripper_board
    predicted = solution.intrinsics[camera].project(transform(T_camera_board, session.board.corners()))
    _mark(image, sample.detections[camera].pixels if camera in sample.detections else [], predicted)
    return _around(image, predicted)


def touch_picture(touch, camera, solution):
    """RGB picture of the lying board with the touched points as this camera should see them."""
    image = touch.images[camera].copy()
    pixels = solution.intrinsics[camera].project(transform(inverse(solution.T_base_camera[camera]), touch.positions))
    for x, y in pixels[np.isfinite(pixels).all(axis=1)]:
        cv2.drawMarker(image, (round(float(x)), round(float(y))), TOUCHED, cv2.MARKER_TILTED_CROSS, 16, 2)
    return _around(image, pixels)


def jpeg(image, width=SHOWN_PX, quality=80):
    """RGB image -> JPEG bytes of that width."""
    small = cv2.resize(image, (width, round(width * image.shape[0] / image.shape[1])), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _around(image, pixels):
    """The part of the image around these pixels, of the image's own shape and at least a quarter of it wide."""
    height, width = image.shape[:2]
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if not len(pixels):
        return image
    half = max(0.125, 0.8 * (np.ptp(pixels, axis=0) / [width, height]).max()) * np.array([width, height])
    half = np.minimum(half, [width / 2, height / 2])
    middle = np.clip(np.median(pixels, axis=0), half, np.array([width, height]) - half)
    (left, top), (right, bottom) = (middle - half).astype(int), (middle + half).astype(int)
    return image[top:bottom, left:right]


def _mark(image, found, predicted):
    for x, y in found:
        cv2.circle(image, (round(float(x)), round(float(y))), 5, FOUND, 1)
    for x, y in predicted[np.isfinite(predicted).all(axis=1)]:
        cv2.drawMarker(image, (round(float(x)), round(float(y))), PREDICTED, cv2.MARKER_CROSS, 9, 1)


def _cameras(session, solution):
    rows = []
    for name, T in solution.T_base_camera.items():
        refined, factory = solution.intrinsics[name], session.cameras[name].intrinsics
        rows.append(
            [
                _e(name),
                _e(session.cameras[name].serial),
                ", ".join(f"{v:.4f}" for v in T[:3, 3]),
                f"{1e3 * solution.sigma_m(name):.2f}",
                f"{np.rad2deg(solution.sigma_rad(name)):.3f}",
                f"{100 * (refined.fx / factory.fx - 1):+.2f} %",
            ]
        )
    heads = [
        "camera",
        "serial",
        "position [m]",
        "uncertainty [mm]",
        "uncertainty [deg]",
        "focal length, factory's",
    ]
    return _table(heads, rows)


def _held(residual, solution):
    same = (r.board_centre_m for r in solution.held_out if (r.sample, r.camera) == (residual.sample, residual.camera))
    return next((f"{1e3 * value:.2f}" for value in same), "-")


def _caption(residual, solution):
    return (
        f"sample {residual.sample}, {residual.camera}: {residual.reprojection_px:.2f} px, "
        f"centre {_held(residual, solution)} mm held out"
    )


def _outlier(outlier):
    return f"sample {outlier.sample}, {outlier.camera or 'every camera'}: {outlier.why}"


def _sentences(title, texts):
    return [f"<h2>{title}</h2><ul>", *(f"<li>{_e(text)}</li>" for text in texts), "</ul>"] if texts else []


def _figures(pictures):
    shown = "".join(
        f"<figure><img src='data:image/jpeg;base64,{base64.b64encode(jpeg(image)).decode()}'>"
        f"<figcaption>{_e(caption)}</figcaption></figure>"
        for image, caption in pictures
    )
    return f"<div class=pictures>{shown}</div>"


def _table(heads, rows):
    head = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _class(good):
    return "pass" if good else "fail"


def _e(text):
    return html.escape(str(text))

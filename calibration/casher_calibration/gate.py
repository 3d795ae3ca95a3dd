"""Pass or fail, criterion by criterion. The limits are those of evaluations that were comparable with one another."""

from dataclasses import dataclass

import numpy as np

from casher_calibration.solution import Options

SAMPLES = 20
HELD_OUT_SHARE = 0.30
CENTRE_M = 0.003
BETWEEN_M = 0.004
TOUCH_M = 0.005
OUTLIER_SHARE = 0.20
SHARE = 95
"""Percentile of the held-out figures that is judged: a single view does not decide, a bad tail does."""


@dataclass(frozen=True)
class Criterion:
    """One line of the verdict."""

    name: str
    figure: str
    """Key in the rig file's figures."""
    value: float
    """NaN when it was not measured."""
    limit: float
    most: bool
    """Whether the limit is the largest value allowed, or the smallest."""
    do: str
    """What to do when it fails."""

    @property
    def passed(self):
        """Not measured is not passed."""
        return bool(self.value <= self.limit if self.most else self.value >= self.limit)

    def __str__(self):
        said = "not measured" if np.isnan(self.value) else f"{self.value:g}"
        line = f"{self.name}: {said} ({'at most' if self.most else 'at least'} {self.limit:g})"
        return f"pass  {line}" if self.passed else f"FAIL  {line}; {self.do}"


def judge(solution, touch_errors=None, options=None):
    """Solution and [touch.TouchError] (None: no touch test) -> [Criterion]."""
    options = options or Options()
    cameras = list(solution.T_base_camera)
    left_out = {(o.sample, name) for o in solution.outliers for name in cameras if o.camera in (None, name)}
    # a camera that was moved leaves residuals of the views before, yet they say nothing of where it stands now
    views = {(r.sample, r.camera) for r in solution.residuals} | left_out
    kept = {name: sum(camera == name for _, camera in views - left_out) for name in cameras}
    predicted = {(r.sample, r.camera) for r in solution.held_out} - left_out
    held_out = min(
        sum(camera == name for _, camera in predicted) / max(1, kept[name]) / max(1, options.folds) for name in cameras
    )
    centres = [residual.board_centre_m for residual in solution.held_out]
    between = [distance for _, distance in solution.camera_to_camera]
    several = len(cameras) > 1
    worst = max((error.distance_m for error in touch_errors), default=np.nan) if touch_errors is not None else np.nan
    more = "take more samples: run 'casher calibrate collect' again, it goes on"
    shaken = "look in the report for views that stand out; is the board stiff, held tight, and its size measured"
    criteria = [
        Criterion("samples of each camera", "samples", min(kept.values()), SAMPLES, False, more),
        Criterion("share held out in turn", "held_out_share", round(held_out, 3), HELD_OUT_SHARE, False, more),
        Criterion("board centre, held out [mm]", "held_out_centre_mm", _mm(centres), 1e3 * CENTRE_M, True, shaken),
    ]
    if several:
        criteria.append(
            Criterion("camera to camera [mm]", "camera_to_camera_mm", _mm(between), 1e3 * BETWEEN_M, True, shaken)
        )
    return [
        *criteria,
        Criterion(
            "touch test, worst [mm]",
            "touch_max_mm",
            round(1e3 * worst, 2),
            1e3 * TOUCH_M,
            True,
            "take it with 'casher calibrate touch SESSION'"
            if np.isnan(worst)
            else "was the closed fingertips' middle on the corner, is the end effector in Desk the Franka hand",
        ),
        Criterion(
            "share of views rejected",
            "rejected_share",
            round(len(left_out) / max(1, len(views)), 3),
            OUTLIER_SHARE,
            True,
            "the report names them: was something moved while collecting",
        ),
    ]


def passed(criteria):
    """Whether all of them did."""
    return all(criterion.passed for criterion in criteria)


def _mm(distances_m):
    return round(1e3 * float(np.percentile(distances_m, SHARE)), 2) if distances_m else float("nan")

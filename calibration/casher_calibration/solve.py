"""The whole pipeline: session -> PnP -> closed-form starts -> joint robust least squares -> outliers -> uncertainty."""

from casher_calibration.solution import Options


def solve(session, options=None):
    """Session -> Solution. SolveError for data that cannot be calibrated from, with what to do."""
    options = options or Options()
    raise NotImplementedError(session, options)

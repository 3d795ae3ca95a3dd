"""Do the stated 95 % regions of the cameras' poses contain the truth as often as they say?

200 simulated calibrations; the corners' noise is measured first, on rendered images.
"""

import numpy as np
from scipy.stats import chi2

from benchmarks.harness import finish
from casher_calibration.outliers import difference
from casher_calibration.solution import Options
from casher_calibration.solve import solve
from casher_calibration.synthetic_session import World, make_session

TRIALS = 200
SAMPLES = 20
RENDERED = 10


def main():
    """Share of trials whose 6-D 95 % region contains the truth; target 0.90 .. 0.99."""
    rendered, truth = make_session(np.random.default_rng(0), RENDERED)
    corner_px = solve(rendered, Options(folds=0, advice=False)).corner_sigma_px
    inside, distances, both = [], [], []
    for seed in range(TRIALS):
        session, truth = make_session(np.random.default_rng(100 + seed), SAMPLES, World(corner_px=corner_px))
        solution = solve(session, Options(folds=0, advice=False))
        apart = [difference(truth.T_base_camera[name][None], T[None])[0] for name, T in solution.T_base_camera.items()]
        squared = [
            d @ np.linalg.solve(solution.covariance[name], d)
            for name, d in zip(truth.T_base_camera, apart, strict=True)
        ]
        distances += squared
        inside += [s < chi2.ppf(0.95, 6) for s in squared]
        whole = np.concatenate(apart)
        both.append(whole @ np.linalg.solve(solution.covariance_all, whole) < chi2.ppf(0.95, 12))
        if seed % 20 == 19:
            print(f"{seed + 1} trials: {np.mean(inside):.3f} inside", flush=True)
    share = float(np.mean(inside))
    detail = {
        "trials": TRIALS,
        "samples_a_trial": SAMPLES,
        "corner_px": round(corner_px, 4),
        "share_inside_both_cameras_jointly": round(float(np.mean(both)), 4),
        "mean_squared_distance": round(float(np.mean(distances)), 3),
        "expected_squared_distance": 6,
        **{
            f"share_inside_{p}": round(float(np.mean(np.array(distances) < chi2.ppf(p / 100, 6))), 4)
            for p in (50, 80, 99)
        },
    }
    return finish("calibration_coverage", share, "share", "0.90 .. 0.99", 0.90 <= share <= 0.99, detail)


if __name__ == "__main__":
    raise SystemExit(main())

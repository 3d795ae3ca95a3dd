"""Success in unseen kitchens against the number of training kitchens, with as many gradient steps for each.

The trajectories are student_unseen's; a training with n kitchens sees those of the first n only. Holds when success
rises with every step. CASHER_STUDENT_FOLDER says where everything lies; what is there is not made again.
"""

import itertools
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.harness import ROOT, finish
from benchmarks.student_runs import collect, keep, of_kitchens, success, teacher, train, unseen_kitchens
from benchmarks.student_unseen import CAMERAS_SHARE, NEAR_POINTS, PER_TWIN

NUMBERS = (3, 9, 24)
STEPS = int(os.environ.get("CASHER_SCALING_STEPS", "1500"))


def main():
    seen = collect("teacher_clouds", PER_TWIN, teacher=teacher(), cameras_share=CAMERAS_SHARE, near_points=NEAR_POINTS)
    detail, rows = {"steps": STEPS}, {}
    for number in NUMBERS:
        # As many trajectories in a load, whatever the number of kitchens.
        settings = (f"per_scene={2 * NUMBERS[-1] // number}",)
        checkpoint, cpu_s = train(f"scaling_{number}", of_kitchens([seen], number), STEPS, settings)
        evaluation, _ = success(checkpoint, unseen_kitchens())
        rows[number] = evaluation.overall
        detail[number] = {**evaluation.overall.to_dict(), "cpu_minutes": round(cpu_s / 60, 1)}
        print(number, detail[number], flush=True)
        keep("student_scaling", detail)
    draw(rows)
    rates = [rows[number].rate for number in NUMBERS]
    rising = all(more > fewer for fewer, more in itertools.pairwise(rates))
    return finish("student_scaling", rates[-1], f"success after {NUMBERS[-1]} kitchens", "rising", rising, detail)


def draw(rows):
    """docs/pictures/student_scaling.png."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    rates = [rows[number].rate for number in NUMBERS]
    bounds = [rows[number].interval for number in NUMBERS]
    errors = [
        [rate - low for rate, (low, _) in zip(rates, bounds, strict=True)],
        [high - rate for rate, (_, high) in zip(rates, bounds, strict=True)],
    ]
    axes.errorbar(NUMBERS, rates, errors, fmt="o-", capsize=4)
    axes.set(xscale="log", xticks=NUMBERS, xticklabels=NUMBERS, ylim=(0, 1), xlabel="training kitchens",
             ylabel="success in unseen kitchens", title=f"{STEPS} steps for each")  # fmt: skip
    axes.minorticks_off()
    figure.savefig(ROOT / "docs" / "pictures" / "student_scaling.png", dpi=110)


if __name__ == "__main__":
    raise SystemExit(main())

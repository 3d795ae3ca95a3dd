"""A student's training as a picture: loss and accuracy, on what it learns from and on twins that were held out."""

import matplotlib
import numpy as np

from casher_training.progress_log import read_lines

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS = {"cameras": "tab:orange", "meshes": "tab:green"}


def draw_curves(progress, path, smooth=50):
    """progress.jsonl -> PNG at path; each training value is the mean of up to `smooth` steps."""
    lines = read_lines(progress)
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        steps = np.array([line["step"] for line in lines])
        values = _running_mean(np.array([line[name] for line in lines]), smooth)
        axis.plot(steps, values, color="tab:blue", lw=1, label="training, augmented")
        for view, colour in COLOURS.items():
            points = [
                (line["step"], line["validation"][view][name]) for line in lines if view in line.get("validation", {})
            ]
            if points:
                axis.plot(*zip(*points, strict=True), "o-", ms=3, color=colour, label=f"held out, {view}")
        axis.set_xlabel("optimiser steps")
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    axes[1].set_ylim(0, 1)
    axes[0].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _running_mean(values, width):
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(0, end - width)
    return (total[end] - total[begin]) / (end - begin)

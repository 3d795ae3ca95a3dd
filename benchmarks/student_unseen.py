"""The student in kitchens that nothing was trained in, in batch and through the ROS graph; imitation alone beside it.

A teacher for the training kitchens, its trajectories seen by cameras and sampled from meshes, a student trained on
them, one round in which the student acts and the teacher labels (DAgger), and the training that goes on with both.
Imitation alone: the same network and as many steps as before DAgger, on the demonstrations that the teacher began with.

Holds when the student succeeds in at least 60 % of the batch's episodes, and its interval before DAgger, after as many
steps, is above imitation's. The kitchens and episodes are others than those that settings were chosen by.
Everything goes on where it was cut off; CASHER_STUDENT_FOLDER says where it lies.
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import finish
from benchmarks.student_runs import (
    EPISODES,
    FOLDER,
    KITCHENS,
    TASK,
    UNSEEN,
    collect,
    keep,
    success,
    teacher,
    train,
    unseen_kitchens,
)
from casher_policy.checkpoint_header import read_checkpoint

PER_TWIN, CAMERAS_SHARE, NEAR_POINTS = 24, 0.75, 768
STEPS, MORE_STEPS = 2500, 3000
SETTINGS, MORE_SETTINGS = (), ("learning_rate=0.0007", "augmentation.shift_m=0.004", "augmentation.turn_rad=0.004")
DAGGER_PER_TWIN = 8
HELD_OUT = {"held_out": "2", "validation_pairs": 512}
GRAPH_TWINS, GRAPH_EPISODES = 4, 12
GOAL = 0.6


def main():
    made = teacher()
    clouds = {"cameras_share": CAMERAS_SHARE, "near_points": NEAR_POINTS}
    seen = collect("teacher_clouds", PER_TWIN, teacher=made, **clouds)
    first, first_s = train("student_1", [seen], STEPS, SETTINGS, **HELD_OUT)
    own = collect("dagger_clouds", DAGGER_PER_TWIN, teacher=made, student=first, cameras_share=1.0, noise=0.0, round=1)
    student, more_s = train("student", [seen, own], MORE_STEPS, MORE_SETTINGS, start=first, views="cameras", **HELD_OUT)
    shown = collect("demonstration_clouds", 10, demos=FOLDER / "demonstrations", **clouds)
    imitation, imitation_s = train("imitation", [shown], STEPS, SETTINGS, **HELD_OUT)
    twins, detail = unseen_kitchens(), {"training_kitchens": KITCHENS, "unseen_kitchens": UNSEEN, "episodes": EPISODES}
    detail["cpu_minutes_of_one_process"] = {
        "student": round((first_s + more_s) / 60, 1),
        "imitation": round(imitation_s / 60, 1),
    }
    for name, checkpoint, view in (
        ("student", student, "cameras"),
        ("student before DAgger", first, "cameras"),
        ("imitation alone", imitation, "cameras"),
        ("student, mesh clouds", student, "meshes"),
    ):
        detail[name] = evaluated(name, checkpoint, twins, view)
        print(name, detail[name]["rate"], detail[name]["wilson_95"], detail[name]["reasons"], flush=True)
        keep("student_unseen", detail)
    detail["ros graph"] = through_graph(student, twins[:GRAPH_TWINS])
    keep("student_unseen", detail)
    rate = detail["student"]["rate"]
    apart = detail["student before DAgger"]["wilson_95"][0] > detail["imitation alone"]["wilson_95"][1]
    return finish("student_unseen", rate, "success in unseen kitchens", f">= {GOAL}", rate >= GOAL and apart, detail)


def evaluated(name, checkpoint, twins, view):
    """The row of one checkpoint; of FOLDER if it was made there before."""
    file, described = FOLDER / f"{name.replace(' ', '_')}.json", read_checkpoint(checkpoint)
    if file.exists() and (row := json.loads(file.read_text()))["checkpoint"] == described.id:
        return row
    evaluation, wall_s = success(checkpoint, twins, view=view)
    row = {
        **evaluation.overall.to_dict(),
        "checkpoint": described.id,
        "data_hash": described.header.data_hash,
        "commit": described.header.commit,
        "wall_s": round(wall_s),
        "scenes": [result.to_dict() for result in evaluation.scenes],
    }
    file.write_text(json.dumps(row, indent=1))
    return row


def through_graph(checkpoint, twins):
    """`casher eval` in a few of the kitchens: simulator, cameras, fusion, policy, arm, bags -> its report's total."""
    out = FOLDER / f"graph_{read_checkpoint(checkpoint).id[:12]}"
    casher = Path(sys.executable).with_name("casher")
    if not (out / "report.json").exists():
        words = [f"policy:={checkpoint}", f"twin:={','.join(map(str, twins))}", f"episodes:={GRAPH_EPISODES}"]
        subprocess.run([casher, "eval", *words, f"task:={TASK}", f"out:={out}"], check=True)
    report = json.loads((out / "report.json").read_text())
    return {"kitchens": [twin.name for twin in twins], "over_kitchens": report["over_kitchens"]}


if __name__ == "__main__":
    raise SystemExit(main())

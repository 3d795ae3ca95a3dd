"""What the teacher benchmarks share: kitchens, demonstrations, and our training beside cloning alone and PPO alone.

Everything lies in CASHER_TEACHER_FOLDER (default benchmarks/detail/teacher); a run that was cut off goes on from there.
CASHER_TEACHER_STEPS is the budget of environment steps for ours and for PPO alone.
"""

import json
import os
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from rich.console import Console

from benchmarks.harness import ROOT, finish
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin_file import FILE
from casher_sim.twin_kitchen import TwinKitchen
from casher_training.demos_collect import CollectArgs
from casher_training.demos_collect import main as collect
from casher_training.teacher_report import table
from casher_training.train_teacher_command import TrainTeacherArgs, prepare

FOLDER = Path(os.environ.get("CASHER_TEACHER_FOLDER", ROOT / "benchmarks" / "detail" / "teacher"))
STEPS = int(os.environ.get("CASHER_TEACHER_STEPS", "1500000"))
FIRST_KITCHEN = 300
KITCHENS, DEMONSTRATIONS, EPISODES = 4, 10, 200
BOUND_BELOW = 0.03
"""Ours ends when every kitchen's lower bound is at most this much below the target for its rate."""
CLONED_STEPS = 8000
"""Gradient steps of cloning alone: beyond this its loss on the demonstrations no longer falls."""
VARIANTS = {
    "ours": (),
    "cloning alone": ("ppo=false", f"warm_start={CLONED_STEPS}"),
    "ppo alone": ("bc_weight=0", "warm_start=0", "value_only=0"),
}


def kitchens(task, number=KITCHENS, first=FIRST_KITCHEN, folder=FOLDER):
    """The first procedural kitchens from that seed on that offer the task -> [folder]."""
    found, seed = [], first
    while len(found) < number:
        place = folder / "kitchens" / f"kitchen_{seed:05d}"
        if not (place / FILE).exists():
            place.mkdir(parents=True, exist_ok=True)
            save_kitchen(place, *kitchen(seed))
        if task in TwinKitchen(place).tasks:
            found.append(place)
        seed += 1
    return found


def demonstrate(task, objects, twins, each=DEMONSTRATIONS, folder=FOLDER):
    """The noisy expert's demonstrations, `each` for each twin, its objects in equal parts -> folder."""
    out = folder / "demonstrations"
    for twin in twins:
        for name in objects or ("",):
            wanted = CollectArgs(str(twin), out, task=task, object=name, n=each // max(1, len(objects)), expert=True)
            if collect(wanted):
                raise SystemExit(f"no demonstrations of {task} in {twin}")
    return out


def train(
    name, task, objects, twins, settings=(), steps=STEPS, target=0.9, enough=lambda progress: False,
    episodes=EPISODES, folder=FOLDER,
):  # fmt: skip
    """Train, or go on training, in folder/NAME -> (TeacherTraining, TeacherEvaluation, seconds of CPU).

    enough: Progress -> whether to end after that update; episodes: of each twin in the evaluation, 0: None of it.
    """
    arguments = TrainTeacherArgs(
        twins=tuple(twins),
        demos=folder / "demonstrations",
        out=folder / name,
        task=task,
        objects=",".join(objects),
        per_twin=DEMONSTRATIONS,
        steps=steps,
        target=target,
        episodes=episodes or EPISODES,
        set=settings,
    )
    begun = time.process_time()
    training, _ = prepare(arguments)

    def tell(progress):
        print(f"{name}: update {progress.update}, {progress.steps} steps, success {progress.success:.3f}", flush=True)
        return enough(progress)

    training.run(tell)
    evaluation = training.evaluate() if episodes else None
    if evaluation is not None:
        Console(highlight=False).print(f"{name}", table(evaluation))
    return training, evaluation, time.process_time() - begun


def compare(benchmark, task, objects, target, above_others=False):
    """Ours, cloning alone and PPO alone on the same kitchens and budget; the figure and the result of a benchmark.

    above_others: whether, to hold, the interval of all episodes must be above those of both others.
    """
    twins = kitchens(task)
    demonstrate(task, objects, twins)
    detail, steps, rows = {"kitchens": [twin.name for twin in twins], "objects": objects}, STEPS, {}
    for variant, settings in VARIANTS.items():
        run = f"{task}_{variant.replace(' ', '_')}"
        # PPO alone gets the steps that ours took, and never ends earlier.
        bound = target - BOUND_BELOW if variant == "ours" else 1
        training, evaluation, cpu_s = train(run, task, objects, twins, settings, steps, bound)
        steps = training.steps if variant == "ours" else steps
        rows[variant] = evaluation
        detail[variant] = {
            "steps": training.steps,
            "updates": training.update,
            "cpu_minutes_of_this_call": round(cpu_s / 60, 2),
            "overall": evaluation.overall.to_dict(),
            "twins": [result.to_dict() for result in evaluation.twins],
            "curve": curve(training),
        }
        (FOLDER / f"{benchmark}.json").write_text(json.dumps(detail, indent=1))
    draw(benchmark, task, detail)
    ours = rows["ours"]
    apart = all(ours.overall.interval[0] > rows[name].overall.interval[1] for name in VARIANTS if name != "ours")
    detail["intervals_disjoint"] = apart
    worst = min(result.rate for result in ours.twins)
    holds = worst >= target and (apart or not above_others)
    return finish(benchmark, worst, "worst kitchen's success", f">= {target}", holds, detail)


def curve(training):
    """[[steps, success of the rollouts]] of all updates."""
    path = training.out / "progress.jsonl"  # cloning alone has no updates
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [[line["steps"], round(line["success"], 4)] for line in lines]


def draw(benchmark, task, detail):
    """docs/pictures/BENCHMARK.png: success with its interval, and against steps where PPO took several updates."""
    learned = len(detail["ours"]["curve"]) > 1
    figure, axes = plt.subplots(
        1, 1 + learned, figsize=(4 + 4 * learned, 3.5), sharey=True, squeeze=False, layout="constrained"
    )
    after = axes[0, -1]
    for place, variant in enumerate(VARIANTS):
        colour, result = f"C{place}", detail[variant]["overall"]
        (low, high), rate = result["wilson_95"], result["rate"]
        after.errorbar(place, rate, [[rate - low], [high - rate]], fmt="o", color=colour, capsize=6)
        after.annotate(f"{rate:.0%}", (place, rate), (10, -4), textcoords="offset points")
        if learned and detail[variant]["curve"]:
            steps, success = zip(*detail[variant]["curve"], strict=True)
            axes[0, 0].plot([count / 1000 for count in steps], success, color=colour, label=variant)
    after.set(xlim=(-0.5, len(VARIANTS) - 0.4), ylim=(-0.02, 1.05), title=f"{result['episodes']} episodes afterwards")
    after.set_xticks(range(len(VARIANTS)), VARIANTS)
    if learned:
        axes[0, 0].set(xlabel="thousand environment steps", title="drawn actions, in training")
        axes[0, 0].legend(fontsize=8)
    axes[0, 0].set_ylabel("success")
    figure.suptitle(f"{task}, {KITCHENS} kitchens")
    figure.savefig(ROOT / "docs" / "pictures" / f"{benchmark}.png", dpi=110)

"""Ten kitchens in one teacher against ten teachers of one kitchen: environment steps to the same success, in all.

A training has got there when 90 % of the episodes of two rollouts in a row succeeded, with drawn actions. Holds when
one policy for all takes at most half the steps of the ten together. A run that does not get there counts with the
MOST_STEPS it had. CASHER_BATCH_KITCHENS=4 makes a smaller comparison; the number is in the result.
"""

import os

from benchmarks.harness import finish
from benchmarks.teacher_runs import curve, demonstrate, kitchens, train

TASK, OBJECTS = "put_in_sink", ("mug",)
NUMBER = int(os.environ.get("CASHER_BATCH_KITCHENS", "10"))
GOAL, MOST_STEPS = 0.9, 600_000


def main():
    twins = kitchens(TASK, NUMBER)
    demonstrate(TASK, OBJECTS, twins)
    rows = {}
    for name, group in {"together": twins, **{twin.name: [twin] for twin in twins}}.items():
        successes = []

        def enough(progress, successes=successes):
            successes.append(progress.success)
            return len(successes) > 1 and min(successes[-2:]) >= GOAL

        training, evaluation, cpu_s = train(f"batch_{name}", TASK, OBJECTS, group, (), MOST_STEPS, 1, enough)
        rows[name] = {
            "steps": training.steps,
            "cpu_minutes_of_this_call": round(cpu_s / 60, 2),
            "evaluation": evaluation.overall.to_dict(),
            "worst_kitchen": min(result.rate for result in evaluation.twins),
            "curve": curve(training),
        }
        print(name, rows[name]["steps"], rows[name]["evaluation"]["rate"], flush=True)
    alone = sum(rows[twin.name]["steps"] for twin in twins)
    ratio = rows["together"]["steps"] / alone
    detail = {"kitchens": NUMBER, "steps_together": rows["together"]["steps"], "steps_alone": alone, "runs": rows}
    return finish("teacher_batch", ratio, "of the steps of single runs", "<= 0.5", ratio <= 0.5, detail)


if __name__ == "__main__":
    raise SystemExit(main())

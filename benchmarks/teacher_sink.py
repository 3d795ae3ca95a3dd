"""The teacher, mugs and bowls into the sink: 4 kitchens, 10 demonstrations each; beside cloning alone and PPO alone.

Holds when every kitchen's success over 200 episodes is at least 0.9 and the interval of all episodes is above
those of both others. What it takes is in teacher_runs.py.
"""

from benchmarks.teacher_runs import compare


def main():
    return compare("teacher_sink", "put_in_sink", ("mug", "bowl"), 0.9, above_others=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""The teacher, mugs and boxes onto the shelf: 4 kitchens, 10 demonstrations each; beside cloning alone and PPO alone.

Holds when every kitchen's success over 200 episodes is at least 0.85. What it takes is in teacher_runs.py.
"""

from benchmarks.teacher_runs import compare


def main():
    return compare("teacher_cabinet", "put_in_cabinet", ("mug", "box"), 0.85)


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m benchmarks` lists the benchmarks, `python -m benchmarks NAME` runs one."""

import ast
import importlib
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NOT_BENCHMARKS = ("__init__", "__main__", "harness", "teacher_runs")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def known():
    """Name -> first line of the docstring, read without importing."""
    paths = sorted(path for path in FOLDER.glob("*.py") if path.stem not in NOT_BENCHMARKS)
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0] for path in paths}


def main():
    names = sys.argv[1:]
    if not names:
        width = max(map(len, known()), default=0)
        print("\n".join(f"{name:{width}}  {line}" for name, line in known().items()))
        return 0
    if len(names) > 1 or names[0] not in known():
        print(f"unknown benchmark {' '.join(names)!r}: known are {', '.join(known())}", file=sys.stderr)
        return 2
    # One thread for every library: ratios between libraries then say what the code does, not how many cores there are.
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    return importlib.import_module(f"benchmarks.{names[0]}").main()


if __name__ == "__main__":
    sys.exit(main())

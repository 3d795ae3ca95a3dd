"""`python -m benchmarks` lists the benchmarks, `python -m benchmarks NAME` runs one."""

import ast
import importlib
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def known():
    """Name -> first line of the docstring, read without importing; what has no main() is what several share."""
    modules = {path.stem: ast.parse(path.read_text()) for path in sorted(FOLDER.glob("[!_]*.py"))}
    return {
        name: (ast.get_docstring(module) or "").partition("\n")[0]
        for name, module in modules.items()
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body)
    }


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

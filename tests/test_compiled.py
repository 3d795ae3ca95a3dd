"""Compiled loops run where numba can keep nothing: a package of root's, and an account without a home."""

import importlib.util

import numba

SOURCE = """
from casher_perception.compiled import compiled

@compiled("int64(int64)")
def at_once(n):
    return n + 1

@compiled()
def when_called(n):
    return at_once(n) + 1
"""


def test_where_no_cache_can_be_written_it_is_compiled_all_the_same(tmp_path, monkeypatch):
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    (tmp_path / "__pycache__").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(nowhere))
    path = tmp_path / "loops.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("loops", path)
    loops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loops)
    assert (loops.at_once(1), loops.when_called(1)) == (2, 3)

"""Which kitchens an evaluation goes through, and how these and the objects compare with a checkpoint's training."""

import itertools
import shutil
from pathlib import Path

UNSEEN = "unseen"
UNSEEN_COUNT = 3
MOST = 1000


def is_unseen(text):
    """Whether the argument `twin` asks for kitchens to be made now."""
    return text.partition(":")[0] == UNSEEN


def folders(text, scratch, task):
    """The argument `twin` -> tuple of absolute folders. ValueError.

    Unseen kitchens, only such as offer the task, are made in `scratch`.
    """
    if is_unseen(text):
        return _make_unseen(text, scratch, task)
    given = tuple(Path(item.strip()).expanduser().absolute() for item in text.split(",") if item.strip())
    names = [folder.name for folder in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:  # a report tells kitchens apart by their names
        raise ValueError(f"twin: {', '.join(twice)} is named twice in '{text}': every kitchen once, each name its own")
    return given


def move(made, folder):
    """Folders of kitchens -> where they are once moved into `folder`, which is made."""
    folder.mkdir()
    return tuple(Path(shutil.move(kitchen, folder / kitchen.name)) for kitchen in made)


def familiar(objects, trained):
    """Those of the objects that a checkpoint's header names; all of them where it names none of these."""
    return tuple(name for name in objects if trained and name in trained.objects) or objects


def remarks(trained, objects, kitchens):
    """What to know about running the checkpoint of that header (None: no checkpoint) there -> tuple of sentences."""
    said = []
    if trained and (new := [name for name in objects if trained.objects and name not in trained.objects]):
        said.append(f"the checkpoint was trained on {', '.join(trained.objects)}; new to it: {', '.join(new)}")
    if trained and (seen := [folder.name for folder in kitchens if folder.name in trained.kitchens]):
        said.append(f"the checkpoint was trained in {', '.join(seen)}: success there says nothing about new kitchens")
    return tuple(said)


def _make_unseen(text, scratch, task):
    from casher_sim.kitchens_make import folder_of, make
    from casher_sim.procedural import FIRST_UNSEEN_SEED
    from casher_sim.twin_kitchen import TwinKitchen

    _, _, count = text.partition(":")
    n = UNSEEN_COUNT if not count else int(count) if count.isdecimal() else 0
    if not 1 <= n <= MOST:
        raise ValueError(f"twin:=unseen:N makes N kitchens, 1 .. {MOST}, got '{text}'")
    made = []
    for seed in itertools.count(FIRST_UNSEEN_SEED):
        make(scratch, seed)
        if task in TwinKitchen(folder_of(scratch, seed)).tasks:  # a door that opens is in one of three
            made.append(folder_of(scratch, seed))
            if len(made) == n:
                return tuple(made)

"""`casher collect` without its command line: which trajectories are missing, who makes them, what came of it."""

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace

from casher_sim.environment import PRESETS
from casher_training.clouds import VIEWS, preprocessing_text
from casher_training.collector import CHUNK, Chunk, chunk_seeds, views_of
from casher_training.demo_bag import bag_path
from casher_training.scenes import place
from casher_training.trajectory import SIMULATED, TrajectoryError, action_set
from casher_training.twin_version import place_hash


@dataclass
class SceneCount:
    """Of one scene."""

    name: str
    wanted: int
    there: int
    """Trajectories before this run."""
    made: int = 0
    episodes: int = 0
    """That were run for them."""
    failures: Counter = field(default_factory=Counter)
    """Reason -> how many of the episodes."""
    pairs: int = 0
    """Of a cloud and a label, in what was made."""
    dropped_steps: int = 0
    """Of tails in which nothing happened, and actions that an arm refused."""

    @property
    def missing(self):
        """Trajectories that are still wanted."""
        return max(0, self.wanted - self.there - self.made)

    def to_dict(self):
        """For JSON."""
        return {**vars(self), "missing": self.missing, "failures": dict(self.failures.most_common())}


class Collection:
    """Of one source, in one round of a store, for a plan's scenes."""

    def __init__(self, store, plan, source, per_twin, cameras_share):
        """store: TrajectoryStore, mode 'a'; plan: CollectorPlan; source: of trajectory.SOURCES.

        per_twin: trajectories of each twin, spread evenly over its objects; cameras_share: of them that cameras see.
        TrajectoryError when they could not be appended to the store.
        """
        self._store, self._plan, self._source = store, plan, source
        self._views, self._seeds, self.counts, self.problems = [], [], [], []
        objects, before, others = Counter(scene.twin for scene in plan.scenes), Counter(), 0
        for scene in plan.scenes:
            for view in VIEWS:
                store.reserve(**self._about(scene, view))
            wanted = per_twin // objects[scene.twin] + (before[scene.twin] < per_twin % objects[scene.twin])
            before[scene.twin] += 1
            headers = self._there(scene)
            there = Counter(header["view"] for header in headers)
            self._views.append(_without(views_of(wanted, cameras_share), there))
            self._seeds.append({header["seed"] for header in headers})
            self.counts.append(SceneCount(scene.name, wanted, len(headers)))
            others += sum(header["policy"] != self._policy for header in headers)
        if others:
            self.problems.append(
                f"{others} of the trajectories that are there were made by another {source} than this one, and count: "
                "to have this one's, take another folder or --round"
            )

    @property
    def _policy(self):
        """Id of who acts, as the trajectories have it."""
        return {"teacher": self._plan.teacher_id, "generalist": self._plan.student_id}.get(self._source, "")

    @property
    def kitchens(self):
        """Names of the scenes' kitchens."""
        return [scene.kitchen for scene in self._plan.scenes]

    @property
    def missing(self):
        """Trajectories to make."""
        return sum(map(len, self._views))

    def chunks(self):
        """-> [(Chunk,)] of what is missing, for the workers' methods `teacher` and `student`."""
        return [(chunk,) for i in range(len(self.counts)) for chunk in self._chunks(i)]

    def demonstrations(self, store):
        """-> [(scene, views, [Trajectory])] of what is missing, for the workers' method `demonstrations`.

        store: TrajectoryStore of demonstrations; of every scene its first successful ones that have not been seen yet.
        Of a real arm: [(scene, views, [(name, Trajectory)])] for the method `recorded`, and all of them.
        TrajectoryError when there are none at all.
        """
        real = self._plan.robot != SIMULATED
        calls, found_any = [], False
        for i, (scene, views) in enumerate(zip(self._plan.scenes, self._views, strict=True)):
            wanted = {**self._about(scene, ""), "preprocessing": ""}
            found = store.select(object=scene.object, robot=self._plan.robot, **wanted)
            found_any |= bool(found)
            fresh = [k for k in found if store.header(k)["seed"] not in self._seeds[i]]
            fresh = fresh if real and views else fresh[: len(views)]
            if fresh:
                ones = list(self._recorded(store, fresh)) if real else [store.read(k) for k in fresh]
                calls.append((i, tuple(views[: len(fresh)]), ones))
        if not found_any:
            raise TrajectoryError(
                f"{store.path} has no successful {self._plan.task} of source {self._source!r} and robot "
                f"{self._plan.robot!r} in these twins as they are now: 'casher demos list' shows what it has"
            )
        return calls

    def _recorded(self, store, found):
        """Iterate over (name, Trajectory whose bag is an absolute path or '') of those that can be read."""
        for k in found:
            try:
                one = store.read(k)
            except TrajectoryError as error:
                self.problems.append(f"{error}; it is passed over")
            else:
                yield store.name(k), replace(one, bag=one.bag and str(bag_path(one.bag, store.folder)))

    def add(self, scene, harvest):
        """Keep what a worker made of scene number `scene`."""
        count = self.counts[scene]
        for trajectory in harvest.trajectories:
            self._store.append(trajectory)
            count.made += 1
            count.pairs += len(trajectory)
        count.episodes += harvest.episodes
        count.failures.update(harvest.failures)
        count.dropped_steps += harvest.dropped_steps
        self.problems += harvest.problems

    def given_up(self):
        """After all chunks of a teacher were run: a sentence for each scene in which it succeeded too rarely."""
        for count in self.counts:
            if count.missing:
                reasons = ", ".join(f"{reason} {n}" for reason, n in count.failures.most_common())
                same = "" if count.made else "the same command would run the same ones again, "
                yield (
                    f"{count.name}: given up after {count.episodes} episodes ({reasons}), {count.missing} of "
                    f"{count.wanted} trajectories are missing: {same}another --seed runs other episodes"
                )

    def _about(self, scene, view):
        plan = self._plan
        return {
            "task": plan.task,
            "twin": scene.kitchen,
            "twin_hash": place_hash(place(scene.twin)),
            "source": self._source,
            "preset": plan.preset,
            "action_set": action_set(PRESETS[plan.preset].steps),
            "view": view,
            "preprocessing": preprocessing_text(plan.preprocessing),
        }

    def _there(self, scene):
        """Headers of what the store has of a scene with clouds, in this round."""
        store, wanted = self._store, {"task": self._plan.task, "twin": scene.kitchen, "object": scene.object}
        found = store.select(success=None, robot=self._plan.robot, source=self._source, **wanted)
        in_round = [i for i in found if store.where(i)[0].name.split(".")[-2] == str(store.round)]
        return [header for header in map(store.header, in_round) if header["view"]]

    def _chunks(self, i):
        """Those that make what is missing of scene i, with seeds that nothing in the store has."""
        scene, numbers = self._plan.scenes[i], itertools.count()
        for begin in range(0, len(self._views[i]), CHUNK):
            while not self._seeds[i].isdisjoint(chunk_seeds(self._plan.seed, scene, number := next(numbers))):
                pass
            yield Chunk(i, number, tuple(self._views[i][begin : begin + CHUNK]))


def _without(views, there):
    """views less those that are there, {view: number} -> list in the same order."""
    there, left = Counter(there), []
    for view in views:
        if there[view] > 0:
            there[view] -= 1
        else:
            left.append(view)
    return left

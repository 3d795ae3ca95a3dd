"""Who runs the shares of a rollout: this process, a few processes of this machine, or a Ray cluster.

Share i always goes to worker i modulo their number, which keeps its worlds. The results are the same whoever runs them.
"""

from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from casher_training.shard import ShareRunner

_runner = None


def _start(make, arguments):
    global _runner
    _runner = make(*arguments)


def _call(method, *arguments):
    return getattr(_runner, method)(*arguments)


class Inline:
    """This process."""

    def __init__(self, make, *arguments):
        self._runner = make(*arguments)

    def map(self, method, calls):
        """Call the runner's method with every tuple of arguments -> list of results."""
        return [getattr(self._runner, method)(*call) for call in calls]

    def each(self, method, calls):
        """As `map`, but yields (number of the call, result) whenever one is there."""
        for i, call in enumerate(calls):
            yield i, getattr(self._runner, method)(*call)

    def close(self):
        """Nothing is held."""


class Processes:
    """`number` processes of this machine."""

    def __init__(self, number, make, *arguments):
        context = get_context("spawn")
        self._workers = [
            ProcessPoolExecutor(1, mp_context=context, initializer=_start, initargs=(make, arguments))
            for _ in range(number)
        ]

    def map(self, method, calls):
        """See Inline."""
        waiting = [self._workers[i % len(self._workers)].submit(_call, method, *call) for i, call in enumerate(calls)]
        return [future.result() for future in waiting]

    def each(self, method, calls):
        """See Inline."""
        waiting = {
            self._workers[i % len(self._workers)].submit(_call, method, *call): i for i, call in enumerate(calls)
        }
        for future in as_completed(list(waiting)):
            yield waiting.pop(future), future.result()

    def close(self):
        """End the processes."""
        for worker in self._workers:
            worker.shutdown(cancel_futures=True)


class RayActors:
    """Actors of a Ray cluster. They ask for no CPUs of its account: an evaluation's run while a training's wait."""

    def __init__(self, address, number, make, *arguments):
        """address: of the cluster ('auto' finds one on this machine, 'local' starts one); number of actors."""
        import ray

        self._ray, self._started = ray, not ray.is_initialized()
        if self._started:
            # Of itself Ray starts workers 15 nicer than who starts it: beside any other work they would starve.
            options = {"_system_config": {"worker_niceness": 0}} if address == "local" else {}
            ray.init(address=address, include_dashboard=False, log_to_driver=False, configure_logging=False, **options)
        actor = ray.remote(num_cpus=0)(Inline)
        self._actors = [actor.remote(make, *arguments) for _ in range(number)]

    def map(self, method, calls):
        """See Inline."""
        waiting = [self._actors[i % len(self._actors)].map.remote(method, [call]) for i, call in enumerate(calls)]
        return [results[0] for results in self._ray.get(waiting)]

    def each(self, method, calls):
        """See Inline."""
        actors = self._actors
        waiting = {actors[i % len(actors)].map.remote(method, [call]): i for i, call in enumerate(calls)}
        while waiting:
            (ready,), _ = self._ray.wait(list(waiting), num_returns=1)
            yield waiting.pop(ready), self._ray.get(ready)[0]

    def close(self):
        """Let go of the actors, and of Ray if it was these that began it."""
        for actor in self._actors:
            self._ray.kill(actor)
        if self._started:
            self._ray.shutdown()


def workers_for(make, arguments, processes=1, ray_address=""):
    """make(*arguments) is what each worker runs -> Inline, Processes or RayActors.

    processes: how many workers; ray_address: '' for this machine without Ray.
    """
    if ray_address:
        return RayActors(ray_address, processes, make, *arguments)
    return Processes(processes, make, *arguments) if processes > 1 else Inline(make, *arguments)


def share_workers(config, shares, processes=1, ray_address=""):
    """Workers that run `ShareRunner.rollout`."""
    return workers_for(ShareRunner, (config, shares, config.discount), processes, ray_address)

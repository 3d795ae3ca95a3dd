"""What the keys of a person who gives demonstrations do: to the session, the store and the ledger. No page in here."""

from casher_policy.action import ACTION_NAMES, Action
from casher_training import demos_keys as keys
from casher_training.demos_session import DemoError
from casher_training.effort import Effort, append_effort
from casher_training.human_clock import HumanClock
from casher_training.trajectory import TrajectoryError


class Collection:
    """`press` one command after the other until `done`; then `close`."""

    def __init__(self, demo, store, ledger, seeds, wanted, clock=None):
        """demo: demos_session.SimulatedDemo or what drives a robot; store: TrajectoryStore; ledger: path.

        seeds: iterator of scenes; wanted: how many demonstrations; clock: HumanClock.
        """
        self.demo, self.saved, self.wanted, self.message = demo, 0, wanted, ""
        self.remarks = []
        """What is odd about demonstrations that were saved."""
        self.presses = 0
        """Keys that something was done for."""
        self.clock = clock or HumanClock()
        self._store, self._ledger, self._seeds = store, ledger, seeds
        demo.start(next(seeds))

    @property
    def done(self):
        """Whether there are as many demonstrations as wanted."""
        return self.saved >= self.wanted

    def press(self, command):
        """An Action, or one of demos_keys' commands. What comes of it is in `message`."""
        self.clock.touch()
        try:
            self.message = self._do(command)
        except DemoError as error:
            self.message = str(error)
        except OSError as error:  # a full disk, say, must not cost what the person has done
            self.message = f"cannot write: {error}"
        self.presses += 1

    def stop(self):
        """A real arm stands still, at once; any thread, also while a key is carried out."""
        self.message = self.demo.stop()

    def close(self):
        """The time since the last demonstration goes to the ledger; what is not saved is gone."""
        self._note_effort("")

    def _do(self, command):
        demo = self.demo
        if self.done:
            return f"all {self.wanted} demonstrations are saved"
        if isinstance(command, Action):
            demo.act(command)
            if demo.success:
                return "success: press enter to save it"
            return demo.ended or demo.note or ACTION_NAMES[command]
        if command == keys.SAVE:
            return self._save()
        if command in (keys.DISCARD, keys.NEXT):
            self._note_effort("")
            demo.discard()
            demo.start(demo.seed if command == keys.DISCARD else next(self._seeds))
            return "discarded"
        # undo, and what only a robot has
        return getattr(demo, command)() or f"{command}: done"

    def _save(self):
        if not self.demo.steps:
            raise DemoError("nothing was done yet: there is nothing to save")
        if self.demo.judged_by_person:
            self.demo.success = True
        elif not self.demo.success:
            raise DemoError(f"not saved, it is no success yet: not {', not '.join(self.demo.unfulfilled())}")
        remark = self.demo.keep()
        human_s = self.clock.take()
        try:
            name = self._store.append(self.demo.trajectory("human", human_s))
        except (TrajectoryError, OSError) as error:
            self.clock.give_back(human_s)
            raise DemoError(f"not saved: {error}; enter tries again") from None
        self.saved += 1
        self.remarks += [f"{name}: {remark}"] if remark else []
        said = "; ".join(filter(None, [f"saved: {self.saved} of {self.wanted}", remark]))
        try:
            self._note_effort(name, human_s)
        finally:  # whatever comes of that, what is saved must not be saved again
            self._next(said)
        return said

    def _next(self, said):
        if not self.done:
            try:
                self.demo.start(next(self._seeds))
            except DemoError as error:
                raise DemoError(f"{said}; {error}") from None

    def _note_effort(self, name, human_s=None):
        human_s = self.clock.take() if human_s is None else human_s
        if human_s > 0 or name:
            twin, task = self.demo.scene.kitchen, self.demo.task.name
            append_effort(self._ledger, Effort(twin, task, "demo", round(human_s, 2), id=name))

"""Ask an rclpy action client from a thread that does not spin it."""

import concurrent.futures
import queue
import time

PERIOD_S = 0.1


class Asker:
    """Runs questions in a callback of the client's own exclusive group.

    rclpy 7 forgets an answer that arrives before the asking thread has noted the question: ActionClient.send_goal_async
    and its kin are then never answered. Asked from a callback of the mutually exclusive group that also takes the
    answers, that cannot happen.
    """

    def __init__(self, node, group):
        """group: the MutuallyExclusiveCallbackGroup the ActionClient was made with; a third thread spins the node."""
        self._questions = queue.SimpleQueue()
        self._ready = node.create_guard_condition(self._send, callback_group=group)

    def ask(self, question):
        """question() -> an rclpy future; a concurrent.futures.Future of its result, which any thread may wait for."""
        answer = concurrent.futures.Future()
        self._questions.put((question, answer))
        self._ready.trigger()
        return answer

    def result_of(self, question, timeout_s, what, meanwhile=lambda: None):
        """The result of question()'s future; TimeoutError says that `what` did not answer.

        meanwhile: called every PERIOD_S [s] of the waiting.
        """
        answer, end = self.ask(question), time.monotonic() + timeout_s
        while not concurrent.futures.wait([answer], min(PERIOD_S, max(0.0, end - time.monotonic()))).done:
            if time.monotonic() >= end:
                raise TimeoutError(f"{what} did not answer within {timeout_s:g} s")
            meanwhile()
        return answer.result()

    def _send(self):
        while not self._questions.empty():
            question, answer = self._questions.get()
            try:
                question().add_done_callback(lambda done, answer=answer: _pass_on(done, answer))
            except Exception as error:  # whoever waits for the answer hears of it
                answer.set_exception(error)


def _pass_on(done, answer):
    error = done.exception()
    if error is not None:
        answer.set_exception(error)
    elif done.cancelled():
        answer.cancel()
    else:
        answer.set_result(done.result())

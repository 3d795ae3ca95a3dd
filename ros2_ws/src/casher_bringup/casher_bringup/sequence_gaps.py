"""Counts the messages that were published and never arrived, from the numbers their publishers give them."""


class SequenceGaps:
    """For one subscription, whose publishers each number their messages 1, 2, 3, ... without saying who they are.

    A number that continues one of the streams seen so far belongs to it. Another begins a stream as long as there are
    publishers without one (the first message may carry any number: we may have joined late). Else it continues the
    stream it exceeds by the least, and what lies between was lost. A number below all streams is that of a publisher
    which began anew.
    """

    def __init__(self):
        self._last = []  # number of the latest message of each stream, the one heard from least recently first

    def observe(self, number, publishers):
        """Take note of a message -> how many were lost before it.

        number: its publication_sequence_number; publishers: function -> how many publishers there have been so far,
        called only when the number is not the expected one.
        """
        last = self._last
        if number - 1 in last:
            return self._continue(number - 1, number)
        if len(last) < publishers():
            last.append(number)
            return 0
        below = [n for n in last if n < number]
        if below:
            return self._continue(max(below), number)
        self._continue(last[0], number)
        return 0

    def _continue(self, before, number):
        self._last.remove(before)
        self._last.append(number)
        return number - before - 1

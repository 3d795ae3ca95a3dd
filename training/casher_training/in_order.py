"""Results of workers in an order that does not depend on who was quicker."""

from collections import deque


def in_order(results, groups):
    """(number, result) as they come -> the same, but those of one group by rising number, each as soon as it can be.

    groups: the group of each number; every number comes once.
    """
    due, kept = {}, {}
    for number, group in enumerate(groups):
        due.setdefault(group, deque()).append(number)
    for number, result in results:
        kept[number] = result
        queue = due[groups[number]]
        while queue and queue[0] in kept:
            first = queue.popleft()
            yield first, kept.pop(first)

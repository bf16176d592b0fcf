"""Where a log jumps back as a whole, by docs/import.md alone, with all of the log at hand; to compare
what `stepdb import` finds with."""

import bisect

STEPS_REPEATED, STEPS_PASSED, THINNING = 2, 32, 8


class Part:
    def __init__(self):
        self.highest, self.last, self.points = None, {}, {}

    def add(self, row):
        step, names = row
        self.highest = step if self.highest is None else max(self.highest, step)
        for name in names:
            self.last[name] = max(step, self.last.get(name, step))
            self.points[name] = self.points.get(name, 0) + 1

    def gets_further(self, row):
        return any(self.last.get(name, row[0]) < row[0] for name in row[1])

    def is_jump_back(self, row):
        return (self.highest is not None and row[0] < self.highest
                and any(name in self.last for name in row[1]) and not self.gets_further(row))


def count_between(steps, low, high):
    """How many of the sorted steps are at `low` to `high`."""
    return max(0, bisect.bisect_right(steps, high) - bisect.bisect_left(steps, low))


def is_whole(rows, before, part, begin, end):
    """Whether rows[begin:end], which begin with a jump back in `part`, are more than late rows;
    `before` are the distinct steps before them, sorted."""
    mine, repeated, highest = set(), 0, None
    for step, names in rows[begin:end]:
        if (highest is None or step > highest) and any(name in part.last for name in names):
            at = bisect.bisect_left(before, step)
            repeated += at < len(before) and before[at] == step
        highest = step if highest is None else max(highest, step)
        mine.add(step)
    new = sum(not count_between(before, step, step) for step in mine)
    start = rows[begin][0]
    passed = count_between(before, start, highest)
    if repeated < STEPS_REPEATED and passed < STEPS_PASSED:
        return False
    if (repeated + new) * THINNING < passed:
        return False
    again = {name for _, names in rows[begin:end] for name in names if name in part.last}
    cut = sum(part.points[name] for name, last in part.last.items() if last >= start)
    if sum(part.points[name] for name in again) * 2 <= cut:
        return False
    if end == len(rows) or not part.gets_further(rows[end]):
        return True  # the log ends, or has jumped back again
    step = rows[end][0]
    left_out = [other for other in before if highest < other < step and other <= part.highest]
    return len(left_out) * THINNING <= passed


def find_restarts(rows):
    """Indices of the rows, (step, names), with which a new attempt begins."""
    found, begin = [], 0
    while begin is not None:
        begin = find_next(rows, begin)
        if begin is not None:
            found.append(begin)
    return found


def find_next(rows, begin):
    part, at, candidate = Part(), begin, None
    before = sorted({step for step, _ in rows[:begin]})
    while at < len(rows):
        if candidate is None and not part.is_jump_back(rows[at]):
            part.add(rows[at])
            if not count_between(before, rows[at][0], rows[at][0]):
                bisect.insort(before, rows[at][0])
            at += 1
            continue
        candidate = None
        end = next((later for later in range(at, len(rows)) if part.gets_further(rows[later])),
                   len(rows))
        # What jumps back again behind the jump ends it, if it is a restart itself.
        inner = find_next(rows[:end], at)
        if is_whole(rows, before, part, at, end if inner is None else inner):
            return at
        stop = end if inner is None else inner
        for row in rows[at:stop]:
            part.add(row)
            if not count_between(before, row[0], row[0]):
                bisect.insort(before, row[0])
        at, candidate = stop, inner
    return None


def attempts_of(rows, restarts):
    """The attempt of each row."""
    attempts, part = [], 0
    for at, (step, _) in enumerate(rows):
        part += part < len(restarts) and restarts[part] == at
        attempt = part
        while attempt > 0 and step < rows[restarts[attempt - 1]][0]:
            attempt -= 1
        attempts.append(attempt)
    return attempts

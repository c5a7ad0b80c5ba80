"""The table of features in include/raft/README.md: its rows, and which tests are said to fail without each of them.

Each feature that is there is broken on purpose by patches that name its row, `Feature: N`. A row that says "yes" holds
if each of the tests that it names is what kills such a patch.
"""

import dataclasses
import re

import programs

README = programs.ROOT / "include/raft/README.md"
ROW = re.compile(r"\| (\d+) \| (.*?) \|.*\| ([\w/]+) \|$", re.MULTILINE)
BELOW = re.compile(r"- (\d+)(?: to (\d+))?: (.*)$", re.MULTILINE)
TEST = re.compile(r'([\w/]+(?:_test|\.py)): "([^"]+)"')


@dataclasses.dataclass
class Row:
    number: int
    feature: str
    ours: str    # yes, away, other; yes/other where it is there in part
    tests: list  # (program, test case), as a Killer's

    @property
    def is_there(self):
        return self.ours.startswith("yes")


def table():
    """{number: Row}, in the order of the table."""
    text = README.read_text(encoding="utf-8")
    rows = {int(number): Row(int(number), feature, ours, []) for number, feature, ours in ROW.findall(text)}
    for first, last, about in BELOW.findall(re.sub(r"\n +", " ", text)):
        for number in range(int(first), int(last or first) + 1):
            rows[number].tests = TEST.findall(about)
    return rows


def names(row, killer):
    """Whether the row names what the killer is."""
    return (killer.program, killer.what) in row.tests


def unbroken(rows, every):
    """What is missing for each row, as a sentence that names it."""
    for patch in every:
        for number in sorted(patch.features):
            row = rows.get(number)
            if row is None or not row.is_there:
                yield f"{patch.name}: the table has no feature {number} that is there"
            elif not any(names(row, killer) for killer in patch.killers):
                yield f"{patch.name}: none of what kills it is what row {number} names"
    for row in filter(lambda r: r.is_there, rows.values()):
        if not row.tests:
            yield f"row {row.number}, {row.feature}: names no test"
        broken = [patch for patch in every if row.number in patch.features]
        for test in row.tests:
            if not any((k.program, k.what) == test for patch in broken for k in patch.killers):
                yield f'row {row.number}, {row.feature}: no patch has Feature: {row.number} and is killed by ' \
                      f'{test[0]} "{test[1]}"'


def show(rows, kills):
    """Prints a line for each row; `kills` are (patch, killer, run, whether it killed). How many rows hold, and not."""
    counts = {True: 0, False: 0}
    for row in rows.values():
        if not row.is_there:
            print(f"{row.number:>3} {row.feature}: {row.ours}")
            continue
        shown, held, failed = [], set(), set()  # the tests that failed, as they should, and those that held
        for patch, killer, run, killed in kills:
            if row.number in patch.features and names(row, killer):
                (failed if killed else held).add((killer.program, killer.what))
                how = f"{run.seconds:.2f} s" if killed else f"NOT KILLED, {run.how}"
                shown.append(f'{patch.name}: {killer.program} "{killer.what}" ({how})')
        counts[failed == set(row.tests) and not held] += 1
        print(f"{row.number:>3} {row.feature}: {'; '.join(shown) or 'NO PATCH'}")
    return counts[True], counts[False]

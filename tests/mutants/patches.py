"""Mutants that are patches: a head that says what is wrong and what shows it, then a unified diff of a few lines.

A patch applies if each of its hunks, context included, is in the file exactly once; line numbers do not matter. It
changes insides of functions and nothing else, so all of them fit into one copy of the headers: a changed body stands
before the original one in the same function, behind the mutant's switch.
"""

import dataclasses
import os
import pathlib
import re

HEADS = ("Row", "Feature", "Wrong", "Breaks", "Source", "Killed by")


@dataclasses.dataclass
class Edit:
    """In `file`, the text from `at` on, `size` long, becomes `text`."""
    file: str
    at: int
    size: int
    text: str


@dataclasses.dataclass
class Killer:
    program: str  # unit/quorum_test, ..., simulator, explorer; a script of scripts.py
    what: str     # the test case; the invariant or the word that the simulator has to name; the scope; the check


class Patch:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.name = self.path.stem
        head, _, diff = self.path.read_text(encoding="utf-8").partition("---\n")
        self.head = {}
        self.features = set()  # rows of the table in include/raft/README.md that are broken by it
        self.killers = []
        for line in head.splitlines():
            word, _, rest = line.partition(": ")
            if word not in HEADS or not rest.strip():
                raise SystemExit(f"{self.path}: not a line of a head: {line}")
            if word == "Killed by":
                program, _, what = rest.partition(" ")
                self.killers.append(Killer(program, what.strip().strip('"')))
            elif word == "Feature":
                self.features |= {int(number) for number in rest.split(",")}
            else:
                self.head[word] = rest.strip()
        if set(self.head) != set(HEADS) - {"Feature", "Killed by"} or not self.killers:
            raise SystemExit(f"{self.path}: the head has each of {', '.join(HEADS)}; Feature may be missing")
        self.hunks = list(_hunks(diff))

    def edits(self, root):
        """Where it changes the headers under `root`. Raises ValueError if a hunk is not there exactly once."""
        found = []
        for file, old, new in self.hunks:
            text = (root / file).read_text(encoding="utf-8")
            before, after = "".join(old), "".join(new)
            if text.count(before) != 1:
                raise ValueError(f"{self.path.name}: a hunk is {text.count(before)} times in {file}:\n{before}")
            same = len(os.path.commonprefix((before, after)))
            tail = len(os.path.commonprefix((before[same:][::-1], after[same:][::-1])))
            inserted = after[same:len(after) - tail]
            found.append(Edit(file, text.index(before) + same, len(before) - same - tail, inserted))
        if not any(e.size or e.text for e in found):
            raise ValueError(f"{self.path.name}: changes nothing")
        return found

    def by_function(self, root, texts):
        """Its edits, by the function that they lie in. Raises ValueError if one lies in none."""
        found = {}
        for e in self.edits(root):
            for begin, end, is_void in function_bodies(texts[e.file]):
                if begin <= e.at and e.at + e.size <= end:
                    found.setdefault((e.file, begin, end, is_void), []).append(e)
                    break
            else:
                raise ValueError(f"{self.path.name}: changes {e.file} outside of functions")
        return found


def _hunks(diff):
    file, old, new = None, [], []
    for line in diff.splitlines(keepends=True):
        if line.startswith(("--- ", "+++ ", "@@")):
            if old or new:
                yield file, old, new
            old, new = [], []
            if line.startswith("+++ "):
                file = line.split()[1].removeprefix("b/")
        elif line[0] in " -+":
            if line[0] != "+":
                old.append(line[1:])
            if line[0] != "-":
                new.append(line[1:])
    if old or new:
        yield file, old, new


def apply(edits, text):
    for e in sorted(edits, key=lambda e: e.at, reverse=True):
        text = text[:e.at] + e.text + text[e.at + e.size:]
    return text


# ---------------------------------------------------------------------------------------------------- functions

def blanked(text):
    """The code with comments and the insides of literals blanked; every character keeps its place."""
    pattern = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def function_bodies(text):
    """(begin, end, is_void) of the inside of each function's body, outermost ones only."""
    code = blanked(text)
    transparent = []  # of each open brace outside of functions: whether functions may be found in it
    at, began = 0, 0  # began: where the present declaration begins
    while at < len(code):
        c = code[at]
        if c == "{":
            head = re.sub(r"\btemplate\s*<[^>]*>", " ", code[began:at])
            scope = re.search(r"\b(namespace|class|struct|union|enum|extern)\b", head)
            if scope and not head.rstrip().endswith(")"):
                transparent.append(True)
            elif ")" in head and all(transparent):
                end = _matching(code, at)
                yield at + 1, end, bool(re.search(r"\bvoid\s+(?:\w+::)*\w+\s*\(", head)) or _is_constructor(head)
                at = end
            else:
                at = _matching(code, at)
            began = at + 1
        elif c == "}":
            if transparent:
                transparent.pop()
            began = at + 1
        elif c == ";":
            began = at + 1
        elif c == ":" and code[began:at].strip() in ("public", "private", "protected"):
            began = at + 1
        at += 1


def _is_constructor(head):
    name = re.search(r"(\w+)\s*\(", re.sub(r"\b(explicit|constexpr|noexcept)\b", " ", head))
    return bool(name) and bool(re.search(r"(^|[\s>])" + name[1] + r"::" + name[1] + r"\s*\(|\bexplicit\b", head))


def _matching(code, at):
    depth = 0
    for i in range(at, len(code)):
        depth += {"{": 1, "}": -1}.get(code[i], 0)
        if depth == 0:
            return i
    raise ValueError("a brace is not closed")


def merge(numbered, texts):
    """`numbered` is {number: edits by body}. The texts with all of them, each behind its switch."""
    bodies = {}
    for number, by_body in numbered.items():
        for place, edits in by_body.items():
            bodies.setdefault(place, []).append((number, edits))
    out = dict(texts)
    for (file, begin, end, is_void), mutants in sorted(bodies.items(), key=lambda item: -item[0][1]):
        original = texts[file][begin:end]
        others = ""
        for number, edits in mutants:
            moved = [Edit(e.file, e.at - begin, e.size, e.text) for e in edits]
            others += f"\n  if (raft_mutant({number})) {{{apply(moved, original)}{'return;' if is_void else ''}\n  }}"
        out[file] = out[file][:begin] + others + out[file][begin:]
    return out

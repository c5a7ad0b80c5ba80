#!/usr/bin/env python3
"""Breaks a rule on purpose, in a copy: break_rule.py FILE OLD NEW puts NEW in the place of OLD, which has to be there
exactly once; else the list that OLD comes from has to follow the code."""

import pathlib
import sys

path, old, new = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
text = path.read_text(encoding="utf-8")
if text.count(old) != 1:
    sys.exit(f"{path}: the text of the rule is there {text.count(old)} times, not once:\n  {old}")
path.write_text(text.replace(old, new), encoding="utf-8")

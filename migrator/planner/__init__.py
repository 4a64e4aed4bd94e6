"""DECIDE: facts in, plan out. Pure: nothing here knows a server, a file system beyond the plan file, or a clock.

checks.py      one small function per reason, CHECKS in display order; around.py: what it may look at
               copy.py, relay.py, convert.py: reasons of one method; notes.py: what stops nothing
keys.py        which key a table can be walked by
methods.py     choose(): the method for one table, and why
gates.py       gates(): may anything be done on this server at all?
privileges.py  the rights we need, for what, and their GRANTs
make.py        make_plan(): every table and tablespace, in order, with estimates
plan.py        the plan as types; units.py: sizes and times as people write them
file.py        the plan as YAML, read strictly (strict_yaml.py, mistakes.py); schema.py: its JSON Schema
drift.py       is the server still the one that was reviewed?
"""

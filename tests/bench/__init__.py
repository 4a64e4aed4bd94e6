"""The benchmark: migrator, the server's own ALTER TABLE and pt-online-schema-change on the same data, side by side.

    make bench                                             # everything, an hour or two
    make bench BENCH='--scale 0.05 --rounds 1 --cases a,d' # a look

A case is prepared once. Each contestant of each round begins with that data, on a server that has just been
started and has read it once; who comes first rotates. What it made is proved afterwards, outside of the
time: each row is there, and encrypted. Nothing is left out: a contestant that failed stands in the table as
failed.
"""

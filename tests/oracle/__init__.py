"""The oracle: random tables, an application that is hostile to them, and a ledger that knows the truth.

`features` makes a definition from a seed, `pools` the values that may stand in it, `ledger` knows which rows
must be there, `habits` and `meetings` are what transactions are made of, `writers` and `threads` the threads,
`trial` one migration under all of it.
`python -m tests.oracle` runs many of them. Nothing here asks the tool what is right: what must be there is
what the application was told is committed, and what is there is read by plain SELECT.
"""

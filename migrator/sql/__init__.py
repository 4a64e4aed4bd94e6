"""SAY: every statement that changes anything, as pure functions: facts in, `Sql` out.

A DBA can review this folder alone. Nothing here touches a server; what reads is written beside the
code that unpacks it.
"""

"""DO: what a plan says, on the server. Read `migrate.py` first: it is the story of one table."""

"""`python -m migrator` is `migrator`."""

from migrator.cli import main

raise SystemExit(main())

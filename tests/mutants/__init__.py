"""Every invariant broken on purpose: a test that cannot fail proves nothing. `make mutants` runs them all."""

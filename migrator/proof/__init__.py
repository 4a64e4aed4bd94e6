"""Proof in the files: what the pages on disk are, whatever the catalog says. Reads only.

`header` reads the first page of a file, `pages` classifies all others, `reading` goes through a file,
`verdict` says what was found against the catalog and the keyring, `files` does it for a server, `canary`
looks for bytes that must not be found. numpy is loaded where pages are looked at, and nowhere else.
"""

"""TELL: facts as values (`values`), and pure functions that render them. Nothing here touches a server."""

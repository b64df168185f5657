"""Questions in plain language: where they stand in a client's text, and the agent that writes SQL for them.

Masking, the veil and the database are handed in (`ports`), so a question can be followed here without them. It does
not know sessions or the wire, and never runs what it wrote: the session does, like any client's SQL.
"""

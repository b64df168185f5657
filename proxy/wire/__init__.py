"""PostgreSQL's frontend/backend protocol: bytes in, messages out, no I/O (`stream` excepted).

The manual's chapter: https://www.postgresql.org/docs/current/protocol.html
"""

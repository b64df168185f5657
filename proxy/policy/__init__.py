"""What each role may see: policies as they are loaded, the catalogue, and the decision on every statement.

It is pure: text and values in, a plan or a refusal out, so that every rule can be tested without a database. It does
not know the wire, sessions, or where the catalogue comes from; it never opens a socket.
"""

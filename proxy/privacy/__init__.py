"""Private values in texts: found, replaced by placeholders, and put back by the vault that knows them.

All of it happens on this machine, before a model sees a question. It does not know SQL or providers, and which
columns are private it is told; Presidio and spaCy are imported by `detect` alone, in a process of its own.
"""

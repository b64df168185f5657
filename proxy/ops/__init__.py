"""What the operator sees: logs, metrics, audit records and the HTTP port.

Each can hold no value by construction, so that nobody who writes a log line has to remember it. It does not know
policies, sessions or messages: others say what happened, in its words.
"""

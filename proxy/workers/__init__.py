"""Several processes behind one address: a supervisor, workers that serve clients, and a desk that serves HTTP.

The supervisor (`supervisor`) opens the listening sockets and forks the others before any thread or event loop exists,
so that they share the memory of what was imported; it runs no event loop itself, which is what lets it fork a
replacement at any time. Each child has one socket to it (`channel`): what concerns several workers goes over that, and
its end is the end of the child. What has to be exact across workers at every moment is in shared memory (`board`).

It does not know what a worker does: `app` gives it that.
"""

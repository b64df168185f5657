"""The demo: made-up data of a shop and a clinic, a proxy in front of it, and a tour with real clients.

It exists so that a newcomer sees what pgveil does before deciding anything. It uses pgveil as its users do, over the
wire and through settings files; it does not know the inside of a session.
"""

"""Tools for agents that speak the Model Context Protocol: each calls what Python calls, and answers in bounded JSON.

Read `tools.py` for the tools, `places.py` for the folders they may touch, `server.py` for the protocol.
"""

__all__: list[str] = []

"""The service: fitted models behind HTTP, with a history of what was found and a page to look at it.

Read `app.py` first: it puts the parts together. `batching.py` is how requests reach the one scorer of a model,
`history.py` what is remembered, `limits.py` what is refused, `azure.py` the routes of a retired service's clients.
"""

__all__: list[str] = []

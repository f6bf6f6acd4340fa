"""A model in another program, without torch: one fixed graph, its constants in a readable file, and what runs both."""

__all__: list[str] = []

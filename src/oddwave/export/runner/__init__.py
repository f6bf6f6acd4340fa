"""What is copied beside an exported graph, and runs it with numpy and onnxruntime alone; none of it imports oddwave."""

__all__: list[str] = []

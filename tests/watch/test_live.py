"""The live view shows streams and the latest changes, and nothing that would command the terminal."""

import io

from rich.console import Console

from oddwave.detector import Detector
from oddwave.watch.live import LiveView


def test_streams_and_changes_are_shown(watched, faulty):
    stream = Detector.load(watched).stream(name="pump\x1b[31m")
    update = stream.update(faulty(110))
    view = LiveView(Console(file=io.StringIO(), width=160))
    view.seen([stream], [update])
    for change, event in update.changes:
        view.write({"change": change, **event.to_dict()})
    text = io.StringIO()
    Console(file=text, width=160).print(view.drawn())
    view.close()
    assert "110" in text.getvalue()
    assert "opened" in text.getvalue()
    assert "\x1b" not in text.getvalue()

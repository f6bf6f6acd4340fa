"""Messages of a real mosquitto: rows of objects and numbers, a broker that goes and comes, what was not saved."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from oddwave.errors import ConfigError, DataError
from oddwave.watch.telling import Teller

BROKER = shutil.which("mosquitto") or (p if Path(p := "/usr/sbin/mosquitto").exists() else None)
pytestmark = [pytest.mark.mosquitto, pytest.mark.skipif(BROKER is None, reason="needs mosquitto")]


class Broker:
    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        settings = (
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        )
        self.config.write_text(settings + "user root\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen([BROKER, "-c", str(self.config)], stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as own:
                if own.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def publish(self, *messages):
        from paho.mqtt import publish

        publish.multiple([{"topic": topic, "payload": text, "qos": 1} for topic, text in messages], port=self.port)


@pytest.fixture
def broker(tmp_path):
    own = Broker(tmp_path)
    yield own
    own.stop()


def source(broker, topic, channels=("flow", "load"), **options):
    from oddwave.watch.mqtt import MqttSource

    told = []
    own = MqttSource(f"mqtt://127.0.0.1:{broker.port}/{topic}", channels, Teller(told.append), **options)
    time.sleep(0.3)
    return own, told


def taken(own, count, seconds=15.0):
    found, until = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        found += [json.loads(line) for line in own.take().lines]
        time.sleep(0.02)
    return found


def test_objects_and_numbers_are_rows_and_the_rest_is_told_of(broker):
    own, told = source(broker, "plant/+/#")
    row = {"time": "2026-01-01", "flow": 1.5, "load": 2}
    broker.publish(("plant/a/x", json.dumps(row)), ("plant/b/flow", "3.25"), ("plant/b/other", "4"), ("plant/b/x", "{"))
    found = taken(own, 2)
    assert found[0] == {**row, "series": "plant/a/x"}
    assert (found[1]["flow"], found[1]["series"]) == (3.25, "plant/b")
    assert found[1]["timestamp"].startswith("20")
    own.close()
    assert len(told) == 2


def test_what_was_not_saved_comes_again_and_what_came_meanwhile(broker):
    own, _ = source(broker, "t", ("flow",), session="a")
    broker.publish(("t", "1"), ("t", "2"))
    assert len(taken(own, 2)) == 2
    own.saved()
    broker.publish(("t", "3"))
    assert len(taken(own, 1)) == 1
    own.close()
    broker.publish(("t", "4"))
    again, _ = source(broker, "t", ("flow",), session="a")
    assert [row["flow"] for row in taken(again, 2)] == [3, 4]
    again.close()


def test_a_broker_that_goes_away_is_waited_for(broker):
    own, told = source(broker, "t", ("flow",), session="a")
    broker.stop()
    time.sleep(0.3)
    assert own.take().lines == []
    broker.start()
    time.sleep(2.5)
    broker.publish(("t", "5"))
    assert [row["flow"] for row in taken(own, 1)] == [5]
    assert "the broker has gone" in told[0]
    own.close()


def test_no_broker_and_no_topic_are_refused(broker):
    from oddwave.watch.mqtt import MqttSource

    with pytest.raises(DataError, match="no MQTT broker answers"):
        MqttSource("mqtt://127.0.0.1:1/t", ("flow",), Teller(print))
    with pytest.raises(ConfigError, match="names no topic"):
        MqttSource("mqtt://127.0.0.1", ("flow",), Teller(print))

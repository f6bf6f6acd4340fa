"""Messages of MQTT topics as rows: JSON objects, or plain numbers that are the channel their topic is called after.

What was received is acknowledged once the state is saved; with a state, the broker keeps what comes while nobody
listens, and sends again what was not acknowledged. A broker that goes away is waited for.
"""

import hashlib
import json
import queue
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from oddwave.errors import ConfigError, DataError
from oddwave.sources.series.items import place_of
from oddwave.visible import visible
from oddwave.watch.sources import Chunk
from oddwave.watch.telling import Teller

__all__ = ["MqttSource"]

_MOST_WAITING, _MOST_TAKEN, _LARGEST = 50_000, 4096, 2**20
_TIMES = ("timestamp", "time", "datetime", "date", "ts", "@timestamp", "_time")


class MqttSource:
    """Subscribes to mqtt(s)://user:password@host:port/topic; `session` names it to the broker, None: no session."""

    def __init__(
        self,
        url: str,
        channels: Sequence[str],
        teller: Teller,
        *,
        session: str | None = None,
        timestamp: str | None = None,
    ) -> None:
        """Connect. Raises: ConfigError for no such address; DataError without paho, or where no broker answers."""
        parts = urlsplit(url)
        topic = unquote(parts.path.lstrip("/")) + (f"#{unquote(parts.fragment)}" if url.endswith("#") else "")
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or not topic:
            raise ConfigError(f"{visible(url)[:80]!r} names no topic: expected mqtt://host/plant/pump7 or .../plant/+")
        try:
            import paho.mqtt.client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise DataError("MQTT needs paho-mqtt: pip install 'oddwave[mqtt]'") from error
        self.channels, self.teller, self.topic = tuple(channels), teller, topic
        self._times = (timestamp.casefold(),) if timestamp else _TIMES
        self._messages: queue.Queue[Any] = queue.Queue(_MOST_WAITING)
        self._taken: list[tuple[int, int]] = []
        name = f"oddwave-{hashlib.sha256(session.encode()).hexdigest()[:12]}" if session else ""
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=session is None, manual_ack=True
        )
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.on_connect, self._client.on_disconnect = self._connected, self._disconnected
        self._client.on_message = self._received
        self._client.reconnect_delay_set(1, 60)
        host, port = parts.hostname, parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise DataError(f"no MQTT broker answers at {host}:{port} ({error}): is it the right address?") from error
        self._closing = False
        self._client.loop_start()

    def _connected(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self.teller.fault("mqtt", f"the broker refuses the connection: {reason}")
        else:
            client.subscribe(self.topic, qos=1)

    def _disconnected(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if not self._closing:
            self.teller.note("broker", f"the broker has gone ({reason}): waiting for it")

    def _received(self, _: Any, __: Any, message: Any) -> None:
        try:
            self._messages.put_nowait((message, datetime.now(UTC)))
        except queue.Full:  # not acknowledged: the broker sends it again
            self.teller.fault("behind", f"more than {_MOST_WAITING:,} messages wait: later ones are not taken")

    def take(self) -> Chunk:
        """Return the messages that came, as lines of JSON."""
        lines: list[bytes] = []
        while len(lines) < _MOST_TAKEN:
            try:
                message, came = self._messages.get_nowait()
            except queue.Empty:
                break
            self._taken.append((message.mid, message.qos))
            row = self._row(message.topic, message.payload)
            if row is not None:
                if not any(name.casefold() in self._times for name in row):
                    row[self._times[0]] = came.isoformat()
                lines.append(json.dumps(row).encode())
        return Chunk(lines)

    def _row(self, topic: str, payload: bytes) -> dict[str, Any] | None:
        shown = visible(topic)[:80]
        if len(payload) > _LARGEST:
            self.teller.fault("large", f"a message of {shown} has {len(payload):,} bytes: passed over")
            return None
        try:
            given = json.loads(payload)
        except (ValueError, RecursionError) as error:
            text = payload[:40].decode(errors="replace")
            self.teller.fault("json", f"a message of {shown} is neither JSON nor a number ({error}): {text!r}")
            return None
        if isinstance(given, Mapping):
            row = {str(name): value for name, value in given.items()}
            return {**row, "series": topic} if {"+", "#"} & set(self.topic) and "series" not in row else row
        if isinstance(given, int | float) and not isinstance(given, bool):
            group, _, last = topic.rpartition("/")
            place = place_of(last, self.channels)
            if place is not None or len(self.channels) == 1:
                whose = topic if place is None else group or topic
                return {self.channels[place or 0]: given, "series": whose}
        self.teller.fault("message", f"a message of {shown} is no object with the model's channels: passed over")
        return None

    def saved(self) -> None:
        """Acknowledge what was taken: it will not be sent again."""
        for mid, qos in self._taken:
            self._client.ack(mid, qos)
        self._taken = []

    def position(self) -> dict[str, Any]:
        """Return nothing: the broker knows."""
        return {}

    def close(self) -> None:
        """Leave the broker; what was not acknowledged comes again."""
        self._closing = True
        self._client.disconnect()
        self._client.loop_stop()

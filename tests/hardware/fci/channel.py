"""One port of the robot: commands over TCP, one client at a time, and states to it over UDP."""

import contextlib
import socket
import struct


class Channel:
    """A second client waits until the first one has gone, as at a real robot."""

    def __init__(self, host, port, header, status):
        """header: struct format of (command, number, size); status: of a reply's first field."""
        self._header, self._status = struct.Struct(header), struct.Struct(status)
        self.listener = socket.create_server((host, port))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host, 0))
        self.udp.setblocking(False)
        self.client = None
        self.peer = None
        """Where states go, once the client has said so."""
        self._buffer = b""

    def accept(self):
        """Take the client that waits."""
        self.client, _ = self.listener.accept()
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connect_states(self, port):
        """Send states to this UDP port of the client."""
        self.peer = (self.client.getpeername()[0], port)

    def receive(self):
        """[(command, number, payload)] that have come; None when the client has gone."""
        try:
            data = self.client.recv(65536)
        except OSError:
            return None
        if not data:
            return None
        self._buffer += data
        messages = []
        while len(self._buffer) >= self._header.size:
            command, number, size = self._header.unpack_from(self._buffer)
            if len(self._buffer) < size:
                break
            messages.append((command, number, self._buffer[self._header.size : size]))
            self._buffer = self._buffer[size:]
        return messages

    def reply(self, command, number, status, payload=b""):
        """Answer a command."""
        if self.client is None:
            return
        body = self._status.pack(status) + payload
        with contextlib.suppress(OSError):  # a client that has gone is seen by receive()
            self.client.sendall(self._header.pack(command, number, self._header.size + len(body)) + body)

    def send_state(self, data):
        """One state, if there is somebody to send it to."""
        if self.peer:
            with contextlib.suppress(OSError):
                self.udp.sendto(data, self.peer)

    def latest_datagram(self):
        """The youngest one, or None."""
        data = None
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self.udp.recv(2048)
        return data

    def disconnect(self):
        """Drop the client."""
        if self.client:
            self.client.close()
        self.client, self.peer, self._buffer = None, None, b""

    def close(self):
        """Everything."""
        self.disconnect()
        self.listener.close()
        self.udp.close()

"""Reads what is whole in an MCAP file that may be cut short, damaged or followed by garbage."""

import io
import struct
from dataclasses import dataclass

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC

_FRAME = struct.Struct("<BQ")  # opcode, length of what follows


@dataclass
class Salvage:
    """Iterates over the records of an open file; `lost_bytes` is right once it is through."""

    file: io.BufferedIOBase
    lost_bytes: int = 0
    """Bytes that belong to no whole record."""

    def __iter__(self):
        """Schemas, channels and messages as they were written. Of a chunk whose checksum is wrong nothing is believed.

        Raises ValueError for what does not begin as an MCAP file.
        """
        size = self.file.seek(0, io.SEEK_END)
        self.file.seek(0)
        if self.file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise ValueError("it is empty" if size == 0 else "it does not begin as an mcap file")
        position = len(MCAP0_MAGIC)
        while position + _FRAME.size <= size:
            self.file.seek(position)
            opcode, length = _FRAME.unpack(self.file.read(_FRAME.size))
            end = position + _FRAME.size + length
            if opcode == Opcode.DATA_END:
                return  # what follows only repeats
            if not Opcode.HEADER <= opcode < Opcode.DATA_END or end > size:
                break
            try:
                yield from _contents(opcode, self.file.read(length))
            except (McapError, ValueError, struct.error):
                self.lost_bytes += end - position
            position = end
        self.lost_bytes += size - position


def _contents(opcode, data):
    stream = ReadDataStream(io.BytesIO(data))
    match opcode:
        case Opcode.SCHEMA:
            return [Schema.read(stream)]
        case Opcode.CHANNEL:
            return [Channel.read(stream)]
        case Opcode.MESSAGE:
            return [Message.read(stream, len(data))]
        case Opcode.CHUNK:
            chunk = Chunk.read(stream)
            if len(chunk.data) != chunk.uncompressed_size and not chunk.compression:
                raise ValueError("the chunk is not as long as it says")
            return breakup_chunk(chunk, validate_crc=True)
        case _:
            return []

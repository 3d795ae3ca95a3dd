"""An MCAP file that survives: every chunk reaches the operating system whole or not at all, so a killed recorder loses
its last chunk only and a full disk leaves a readable file.

The writer of the `mcap` package cannot end a chunk by the clock, nor take back half a chunk when the disk is full; its
records are used here (format: https://mcap.dev/spec).
"""

import contextlib
import fcntl
import zlib
from collections import Counter

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    Message,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.writer import MCAP0_MAGIC

CHUNK_BYTES = 1 << 20


class McapWriter:
    """One file being written; raises OSError as the operating system does, and stays usable for `finish()` when it
    did."""

    def __init__(self, path):
        self.channels = {}
        """Channel id -> mcap.records.Channel."""
        self.schemas = {}
        self._chunks = []  # (ChunkIndex, messages of each channel)
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115, closed by finish(); chunks are gathered here, not by the file
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # says to `casher bag recover`: still being written
        self._end = 0
        self._sequence = Counter()
        self._chunk, self._offsets = RecordBuilder(), {}
        builder = RecordBuilder()
        builder.write(MCAP0_MAGIC)
        Header(profile="ros2", library="casher").write(builder)
        self._append(builder.end())

    @property
    def counts(self):
        """Channel id -> number of messages in the file."""
        return sum((counts for _, counts in self._chunks), Counter())

    def add_schema(self, name, text):
        """Declare a `ros2msg` schema -> its id."""
        schema = Schema(id=len(self.schemas) + 1, name=name, encoding="ros2msg", data=text.encode())
        self._write_record(schema)
        self.schemas[schema.id] = schema
        return schema.id

    def add_channel(self, topic, schema_id, metadata):
        """Declare a topic -> its channel id. Schemas and channels stand outside the chunks: a damaged chunk costs
        only its messages."""
        channel = Channel(
            id=len(self.channels) + 1, topic=topic, message_encoding="cdr", schema_id=schema_id, metadata=metadata
        )
        self._write_record(channel)
        self.channels[channel.id] = channel
        return channel.id

    def add_message(self, channel_id, log_ns, publish_ns, data):
        """Put a CDR message into the current chunk; a full chunk is written."""
        self._offsets.setdefault(channel_id, []).append((log_ns, self._chunk.count))
        Message(channel_id, log_ns, data, publish_ns, self._sequence[channel_id]).write(self._chunk)
        self._sequence[channel_id] += 1
        if self._chunk.count >= CHUNK_BYTES:
            self.flush()

    def flush(self):
        """Write the current chunk. On OSError the chunk is lost and the file ends where the previous one did."""
        self._write_chunk(*self._take_chunk())

    def finish(self):
        """Write what is left and the summary, and close. When that does not fit, earlier chunks give way, the last of
        them first -> number of chunks given up.

        Raises OSError when nothing at all can be written any more; the file is closed then, too, and can be recovered.
        """
        left = self._take_chunk()
        given_up = 0
        try:
            while True:
                kept = len(self._chunks)
                try:
                    self._write_chunk(*left)
                    self._append(self._summary())
                    return given_up
                except OSError:
                    if kept == 0:
                        raise
                    index, _ = self._chunks[kept - 1]
                    del self._chunks[kept - 1 :]
                    self._end = index.chunk_start_offset
                    self._file.truncate(self._end)
                    given_up += 1
        finally:
            self._file.close()

    @property
    def times(self):
        """[ns] log times of the first and the last message that are in the file; 0, 0 while there are none."""
        first = min((index.message_start_time for index, _ in self._chunks), default=0)
        return first, max((index.message_end_time for index, _ in self._chunks), default=0)

    def _take_chunk(self):
        """(channel id -> [(log time, offset)], bytes) gathered so far; the next message begins a new chunk."""
        taken = self._offsets, self._chunk.end()
        self._chunk, self._offsets = RecordBuilder(), {}
        return taken

    def _write_chunk(self, offsets, data):
        if not offsets:
            return
        times = [ns for records in offsets.values() for ns, _ in records]
        first, last = min(times), max(times)
        builder = RecordBuilder()
        Chunk("", data, last, first, zlib.crc32(data), len(data)).write(builder)
        chunk_length = builder.count
        index_offsets = {}
        for channel_id, records in offsets.items():
            index_offsets[channel_id] = self._end + builder.count
            MessageIndex(channel_id, records).write(builder)
        index = ChunkIndex(
            chunk_length=chunk_length,
            chunk_start_offset=self._end,
            compression="",
            compressed_size=len(data),
            message_end_time=last,
            message_index_length=builder.count - chunk_length,
            message_index_offsets=index_offsets,
            message_start_time=first,
            uncompressed_size=len(data),
        )
        self._append(builder.end())
        self._chunks.append((index, Counter({channel: len(records) for channel, records in offsets.items()})))

    def _write_record(self, record):
        builder = RecordBuilder()
        record.write(builder)
        self._append(builder.end())

    def _append(self, data):
        """All of `data` at the end of the file, or OSError and the file as it was."""
        view = memoryview(data)
        try:
            self._file.seek(self._end)
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._file.truncate(self._end)
            raise
        self._end += len(data)

    def _statistics(self):
        counts = self.counts
        first, last = self.times
        return Statistics(
            attachment_count=0,
            channel_count=len(self.channels),
            channel_message_counts=dict(counts),
            chunk_count=len(self._chunks),
            message_count=counts.total(),
            message_end_time=last,
            message_start_time=first,
            metadata_count=0,
            schema_count=len(self.schemas),
        )

    def _summary(self):
        builder = RecordBuilder()
        DataEnd(0).write(builder)
        data_end = builder.end()
        start = self._end + len(data_end)
        groups = (
            (Opcode.SCHEMA, self.schemas.values()),
            (Opcode.CHANNEL, self.channels.values()),
            (Opcode.STATISTICS, [self._statistics()]),
            (Opcode.CHUNK_INDEX, [index for index, _ in self._chunks]),
        )
        offsets = []
        for opcode, records in groups:
            group_start = builder.count
            for record in records:
                record.write(builder)
            if builder.count > group_start:
                offsets.append(SummaryOffset(opcode, start + group_start, builder.count - group_start))
        offsets_start = start + builder.count
        for offset in offsets:
            offset.write(builder)
        summary = builder.end()
        Footer(start, offsets_start, 0).write(builder)  # 0: no CRC over the summary, every chunk has its own
        return data_end + summary + builder.end() + MCAP0_MAGIC

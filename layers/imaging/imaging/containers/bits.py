"""Bits of a codec's headers, the highest bit of a byte first."""


class Bits:
    """Reads the bits of the first 512 bytes; raises IndexError past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:512])
        self._left = 8 * min(len(data), 512)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("the header ends early")
        return self._value >> self._left & (1 << count) - 1

    def take_golomb(self) -> int:
        """An unsigned Exp-Golomb number: `uvlc` in AV1, `ue(v)` in HEVC."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros) if zeros < 32 else (1 << 32) - 1

"""Bits of a codec's headers, the highest of a byte first."""


class Bits:
    """A reader of the first 512 bytes; past the end it raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:512])
        self._left = 8 * min(len(data), 512)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("the header ends early")
        return self._value >> self._left & (1 << count) - 1

    def take_golomb(self) -> int:
        """An Exp-Golomb number, `uvlc` of AV1 and `ue(v)` of HEVC."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros) if zeros < 32 else (1 << 32) - 1

"""A proxy between the functions and AWS that throttles, fails and hangs up as AWS does on a bad day.

The functions find it through the SDK's own AWS_ENDPOINT_URL; nothing in them knows.  Which calls it harms is
decided by a seed and by how many calls of that operation came before: the same storm harms the same share of
the same operations, whatever the order in which threads get there.
"""

import hashlib
import json
import re
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from infra.local.proxy import Answer, Call, Passage, Proxy

MARK: Final = "injected by the storm"
"""In the message of every error this proxy answers: what a failure in a log is recognized by."""


class Kind(StrEnum):
    """What is done to a call."""

    THROTTLED = "throttled"
    SERVER_ERROR = "5xx"
    RESET_BEFORE = "reset before"  # it never reached the service
    RESET_AFTER = "reset after"  # it took effect, and the caller does not know
    CUT_ANSWER = "cut answer"  # the connection ends in the middle of an object's bytes
    REFUSED_IN_PART = "refused in part"  # 200, and some or all of the batch is handed back


_LIKELY: Final = {
    Kind.THROTTLED: 30,
    Kind.SERVER_ERROR: 25,
    Kind.RESET_BEFORE: 15,
    Kind.RESET_AFTER: 30,
}
# Operations with an answer that says "not all of it", and how they say so.
_PARTIAL: Final = {"BatchWriteItem", "BatchGetItem", "SendMessageBatch", "DeleteObjects", "PutEvents"}

_THROTTLES: Final = {
    "dynamodb": (
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
    ),
    "s3": ((503, "SlowDown"),),
    "sqs": ((400, "RequestThrottled"),),
}
_FAILURES: Final = {
    "dynamodb": ((500, "InternalServerError"), (503, "ServiceUnavailable")),
    "s3": ((500, "InternalError"), (503, "ServiceUnavailable")),
    "sqs": ((500, "InternalFailure"), (503, "ServiceUnavailable")),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One call that was harmed, `at` seconds since the epoch."""

    at: float
    call: Call
    kind: Kind


@dataclass
class Weather:
    """What share of calls is harmed now: `share` of all, and while a gust lasts, more of one service."""

    seed: int
    share: float = 0.0
    gusts: dict[str, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: Counter[Call] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, call: Call) -> tuple[Kind | None, float]:
        """What becomes of the next call of this kind, and a number from 0 to 1 for what is left to choose."""
        with self._lock:
            number = self.calls[call]
            self.calls[call] += 1
        told = f"{self.seed}/{call.service}/{call.operation}/{call.presigned}/{number}".encode()
        drawn = struct.unpack(">3I", hashlib.sha256(told).digest()[:12])
        harmed, which, rest = (number / 2**32 for number in drawn)
        if harmed >= self.gusts.get(call.service, self.share):
            return None, rest
        kind = _pick(which, call)
        with self._lock:
            self.faults.append(Fault(time.time(), call, kind))
        return kind, rest

    def calm(self) -> None:
        """Nothing is harmed any more."""
        self.share = 0.0
        self.gusts.clear()


def _pick(drawn: float, call: Call) -> Kind:
    likely = dict(_LIKELY)
    if call.operation in _PARTIAL:
        likely[Kind.REFUSED_IN_PART] = 40
    if call.operation == "GetObject":
        likely[Kind.CUT_ANSWER] = 15
    at = drawn * sum(likely.values())
    for kind, weight in likely.items():
        at -= weight
        if at < 0:
            return kind
    return kind


def refusal(call: Call, kind: Kind, drawn: float) -> Answer:
    """An error as this service words it."""
    known = _THROTTLES if kind is Kind.THROTTLED else _FAILURES
    default = ((400, "ThrottlingException"),) if kind is Kind.THROTTLED else ((500, "InternalFailure"),)
    errors = known.get(call.service, default)
    status, code = errors[int(drawn * len(errors)) % len(errors)]
    if call.service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{MARK}</Message><RequestId>storm</RequestId></Error>"
        return Answer(status, {"Content-Type": "application/xml"}, text.encode())
    told = {"__type": f"com.amazonaws.{call.service}#{code}", "message": MARK}
    return Answer(status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(told).encode())


def handed_back(call: Call, body: bytes) -> Answer:
    """A success that did none of it."""
    if call.operation == "DeleteObjects":
        keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
        errors = "".join(
            f"<Error><Key>{key}</Key><Code>SlowDown</Code><Message>{MARK}</Message></Error>" for key in keys
        )
        told = f"<DeleteResult>{errors}</DeleteResult>".encode()
        return Answer(200, {"Content-Type": "application/xml"}, told)
    asked = json.loads(body)
    answer: dict[str, Any]
    match call.operation:
        case "BatchWriteItem":
            answer = {"UnprocessedItems": asked["RequestItems"]}
        case "BatchGetItem":
            none = {table: list[Any]() for table in asked["RequestItems"]}
            answer = {"Responses": none, "UnprocessedKeys": asked["RequestItems"]}
        case "SendMessageBatch":
            failed = [
                {"Id": entry["Id"], "Code": "InternalError", "Message": MARK, "SenderFault": False}
                for entry in asked["Entries"]
            ]
            answer = {"Successful": [], "Failed": failed}
        case _:
            refused = [{"ErrorCode": "ThrottlingException", "ErrorMessage": MARK} for _ in asked["Entries"]]
            answer = {"FailedEntryCount": len(refused), "Entries": refused}
    return Answer(200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode())


class _Harmed(Passage):
    server: "FaultProxy"

    def serve(self, call: Call, body: bytes) -> None:
        kind, drawn = self.server.weather.decide(call)
        match kind:
            case Kind.RESET_BEFORE:
                self.reset()
            case Kind.RESET_AFTER:
                self.forward(body)
                self.reset()
            case Kind.THROTTLED | Kind.SERVER_ERROR:
                self.answer(refusal(call, kind, drawn))
            case Kind.REFUSED_IN_PART:
                self.answer(handed_back(call, body))
            case Kind.CUT_ANSWER:
                answer = self.forward(body)
                self.answer(answer, sent=len(answer.body) // 2)
                self.reset()
            case _:
                self.answer(self.forward(body))


class FaultProxy(Proxy):
    """Answers on `port` for the service on the port `behind` it, as the weather is."""

    def __init__(self, port: int, behind: int, weather: Weather) -> None:
        super().__init__(port, behind, _Harmed)
        self.weather = weather

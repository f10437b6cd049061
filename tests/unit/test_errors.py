"""Errors carry what they are, and docs/openapi.yaml documents exactly those that callers see."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import catalog
from catalog.api.http import _STATUS
from catalog.api.inputs.fields import Fault, InvalidRequestError
from catalog.domain.errors import CallerError, Kind, TooManyError
from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.uploads import OriginalTooLargeError
from tests.unit.test_openapi_document import DOCUMENT, documented_codes, operations

# Errors that no caller sees, with what becomes of each.
_INTERNAL = {
    "_FailedError": "the attempt's log names the fault",
    "BadRecordError": "a line of a manifest: a failure of the job",
    "ChainTooLongError": "ends a chain of messages; the worker logs it",
    "CountersContendedError": "fails a message, which is delivered again",
    "CountersMovedError": "the use case reads and counts again",
    "EventRefusedError": "fails the planning of a round, which is planned again",
    "ExecutionNotStartedError": "the sweeper starts it",
    "ImportFailedError": "a reason of a failed job",
    "InvalidHashError": "a hash in our own tables is broken",
    "InvalidPixelLimitsError": "fails the cold start",
    "InvalidPresetsError": "fails the cold start",
    "ItemsNotDeletedError": "fails a part of a job, which is carried out again",
    "JobFailedError": "a reason of a failed job",
    "JobMovedError": "a use case reads the job and decides again",
    "JobsNotSentError": "fails a message, which is delivered again",
    "MultipartError": "an input makes it invalid_request",
    "NearDuplicatesOffError": "a reason of a failed job",
    "NotAKeyPatternError": "an input makes it invalid_request",
    "NotAReferenceError": "an input makes it invalid_request",
    "NotAReceiverError": "an input makes it invalid_request; a delivery logs it as a fault",
    "NotASecretError": "an input makes it invalid_request",
    "NotATenantIdError": "an input makes it invalid_request",
    "NotAWebhookNameError": "an input makes it invalid_request",
    "NotAnAssetIdError": "an input makes it invalid_request",
    "NotAnOriginalKeyError": "the worker ignores the object",
    "ObjectInMotionError": "fails a message, which is delivered again",
    "ObjectsNotDeletedError": "fails a message, which is delivered again",
    "OriginalMissingError": "a use case makes it a rejection or image_not_found",
    "PartClaimedError": "ends the worker: another one has the part",
    "PlanningContendedError": "fails the planning of a round, which is planned again",
    "PresetsDisagreeError": "fails the job, by name",
    "PurgeRunNotFoundError": "a use case makes it invalid_confirm_token",
    "RunClaimedError": "the worker looks again later",
    "SentOverAndOverError": "fails a message, which is delivered again",
    "SettingError": "fails the cold start",
    "SourceChangedError": "a use case reads the object again; at last a failure of the job",
    "SourceObjectError": "a failure of the job",
    "StepTooLargeError": "a reason of a failed job",
    "WebhookMovedError": "a use case reads the webhook and decides again",
    "VersionsNotDeletedError": "fails a part of a job, which is carried out again",
}
# What the document has and no class: answers of API Gateway, and of what nobody foresaw.
_NO_CLASS = {
    ("400", "bad_request"): "API Gateway: the request is none",
    ("401", "unauthorized"): "API Gateway: no token, or an invalid one",
    ("413", "payload_too_large"): "API Gateway: over 10 MB",
    ("429", "too_many_requests"): "API Gateway: throttled",
    ("500", "internal_error"): "a fault of ours, in the log",
}


def errors() -> Iterator[type[Exception]]:
    """Every error class that a module of the catalog defines."""
    for module in pkgutil.walk_packages(catalog.__path__, "catalog."):
        for found in vars(importlib.import_module(module.name)).values():
            if isinstance(found, type) and issubclass(found, Exception) and found.__module__ == module.name:
                yield found


ANSWERED = [
    error for error in errors() if issubclass(error, CallerError) and error not in (CallerError, TooManyError)
]


def codes(error: type[CallerError]) -> list[str]:
    return list(RejectionCode) if error is ImageRejectedError else [error.code]


def documented() -> set[tuple[str, str]]:
    statuses = {status for _, _, operation in operations() for status in operation["responses"]}
    return {
        (status, code) for status in statuses if int(status) >= 400 for code in documented_codes(status)
    }  # fmt: skip


def test_every_error_is_answered_to_callers_or_said_to_be_internal() -> None:
    assert {error.__name__ for error in errors() if not issubclass(error, CallerError)} == set(_INTERNAL)


@pytest.mark.parametrize("error", ANSWERED, ids=lambda error: error.__name__)
def test_every_error_a_caller_sees_has_a_kind_a_code_and_a_message(error: type[CallerError]) -> None:
    assert isinstance(error.kind, Kind)
    assert all(code == code.lower() and code.isidentifier() for code in codes(error))
    assert issubclass(error, TooManyError) == (error.kind is Kind.TOO_MANY)


def test_every_kind_has_one_status() -> None:
    assert set(_STATUS) == set(Kind)
    assert len(set(_STATUS.values())) == len(Kind)


def test_the_document_has_the_codes_of_these_errors_and_no_other() -> None:
    # An image sent to be compared was never stored, so it cannot be rejected for what happens in storage.
    stored = {RejectionCode.TOO_LARGE, RejectionCode.CHECKSUM_MISMATCH, RejectionCode.ORIGINAL_MISSING}
    classes = {
        (str(int(_STATUS[error.kind])), str(code))
        for error in ANSWERED
        for code in codes(error)
        if not (error is ImageRejectedError and code in stored)
    }

    assert not classes & set(_NO_CLASS)
    assert documented() == classes | set(_NO_CLASS)


def test_an_error_without_words_of_its_own_says_what_it_is_raised_with() -> None:
    assert InvalidRequestError([Fault("limit", "is no number")]).message == "limit: is no number"


def test_the_facts_an_error_is_raised_with_are_for_the_log_only() -> None:
    class LampError(CallerError):
        message = "there is no lamp"

    assert LampError("lamp 17").message == "there is no lamp"
    assert str(LampError("lamp 17")) == "lamp 17"


def test_the_examples_of_the_document_say_what_the_errors_say() -> None:
    # `too_large` has several messages: of the announced size, of the body, and of a stored original.
    said = {error.code: error.message for error in ANSWERED if error.message and error.code != "too_large"}
    examples = [
        example["value"]["error"]
        for response in DOCUMENT["components"]["responses"].values()
        for example in response["content"]["application/json"]["examples"].values()
        if "value" in example
    ]
    shown = [example for example in examples if example["code"] in said]

    assert len(shown) > 10
    assert [(each["code"], each["message"]) for each in shown if each["message"] != said[each["code"]]] == []


def test_an_error_that_has_a_number_tells_it_and_keeps_it() -> None:
    wait, large = TooManyError(30), OriginalTooLargeError(10**9)
    assert (str(wait), wait.retry_after) == ("again in 30 s", 30)
    assert (str(large), large.size_bytes) == ("1000000000 bytes", 10**9)

"""Forms: the bytes between two boundaries, untouched, and an error for anything else."""

import sys
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.api.multipart import MultipartError, form_parts

TYPE = "multipart/form-data; boundary=frontier"
IMAGE = b"\xff\xd8\r\n\r\n--\n--frontie\r\x00\xff\r\n"


def form(*parts: bytes, boundary: bytes = b"frontier") -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )


def field(name: str, content: bytes) -> bytes:
    header = f'Content-Disposition: form-data; name="{name}"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    return header.encode() + b"\r\n\r\n" + content


def test_the_bytes_of_a_file_are_untouched() -> None:
    assert form_parts(form(field("file", IMAGE)), TYPE) == [("file", IMAGE)]


@given(st.binary(max_size=300))
def test_any_bytes_without_the_boundary_come_back_as_they_were(content: bytes) -> None:
    assert form_parts(form(field("file", content)), TYPE) == [("file", content)]


def test_every_field_is_given_in_order_with_an_empty_one_among_them() -> None:
    body = form(field("tenant", b"acme"), field("file", IMAGE), field("note", b""))

    assert form_parts(body, TYPE) == [("tenant", b"acme"), ("file", IMAGE), ("note", b"")]


def test_a_preamble_an_epilogue_and_spaces_after_a_boundary_are_ignored() -> None:
    body = (
        b"preamble\r\n" + form(field("file", IMAGE)).replace(b"--frontier\r\n", b"--frontier \t\r\n") + b"end"
    )

    assert form_parts(body, TYPE) == [("file", IMAGE)]


def test_a_quoted_boundary_with_spaces_is_understood() -> None:
    body = form(field("file", IMAGE), boundary=b"a 'b:c")

    assert form_parts(body, 'multipart/form-data; charset=utf-8; boundary="a \'b:c"') == [("file", IMAGE)]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(form(field("file", IMAGE)), "multipart/form-data", id="no-boundary"),
        pytest.param(form(field("file", IMAGE)), "multipart/form-data; boundary=" + "x" * 71, id="long"),
        pytest.param(form(field("file", IMAGE)), "multipart/form-data; boundary=ä", id="not-ascii"),
        pytest.param(form(field("file", IMAGE)), "multipart/form-data; boundary=other", id="another"),
        pytest.param(form(field("file", IMAGE))[:-4], TYPE, id="not-closed"),
        pytest.param(form(*[field("file", b"")] * 17), TYPE, id="too-many-parts"),
        pytest.param(form(b"no headers at all"), TYPE, id="no-headers"),
        pytest.param(form(b"X: " + b"y" * 5000 + b"\r\n\r\n"), TYPE, id="long-headers"),
        pytest.param(form(b"Content-Type: image/jpeg\r\n\r\n" + IMAGE), TYPE, id="no-name"),
        pytest.param(
            form(b"Content-Disposition: form-data; name*=utf-8''file\r\n\r\n"), TYPE, id="an-encoded-name"
        ),
        pytest.param(b"", TYPE, id="empty"),
    ],
)
def test_what_is_no_form_is_named_an_error(body: bytes, content_type: str) -> None:
    with pytest.raises(MultipartError):
        form_parts(body, content_type)


@given(st.binary(max_size=200), st.text(max_size=60))
def test_no_body_and_no_type_can_do_more_than_fail(body: bytes, parameters: str) -> None:
    for content_type in (TYPE, "multipart/form-data;" + parameters):
        try:
            form_parts(body, content_type)
            form_parts(form(body), content_type)
            form_parts(form(b"Content-Disposition: " + body + b"\r\n\r\n"), content_type)
        except MultipartError:
            continue


@pytest.mark.parametrize("filler", [b"\n", b"\r\n", b"\r\n--frontier", b"\r\n--frontier\r\n\r\n\r\n"])
def test_a_body_full_of_line_breaks_or_boundaries_is_cut_in_few_steps(filler: bytes) -> None:
    body = form(field("file", filler * (4_500_000 // len(filler))))
    calls = Counter[str]()

    sys.setprofile(lambda _frame, event, _: calls.update([event]))
    try:
        with suppress(MultipartError):
            form_parts(body, TYPE)
    finally:
        sys.setprofile(None)
    assert 0 < calls["call"] + calls["c_call"] < 5_000

"""A lookup costs two requests a page, and a reference five write units, however many there are."""

from benchmarks.references import gallery, writing


def test_each_page_of_ten_thousand_images_costs_two_requests_and_what_a_page_of_a_hundred_does() -> None:
    large, small = gallery(10_000, 1), gallery(100, 1)

    assert (large["pages of 100"], large["requests a page"], small["requests a page"]) == (100, 2, 2)
    assert large["read units a page, most"] == small["read units a page, most"]


def test_a_page_of_images_with_a_thousand_references_each_is_two_requests_too() -> None:
    assert gallery(100, 1_000)["requests a page"] == 2


def test_a_reference_costs_five_write_units_and_a_hundred_set_already_two_requests() -> None:
    few = writing(1)

    assert (few["requests"], few["write units"]) == (3, 5)
    assert {writing(held)["set again: requests for 100"] for held in (1, 999)} == {2}

import pytest

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.addresses import check_address


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://user:secret@example.org:8443/a%20b.png?size=1#2",
        "ftp://example.org./a.png",
        "http://[::1]:8000/a.png",
        "http://127.0.0.1/[a].png",
        "http://localhost/a b.png",
        "https://bücher.example/ä.png",
        f"http://{'a' * 63}.org/",
    ],
)
def test_valid(url):
    check_address(url)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "it names no host"),
        ("/a.png", "it names no host"),
        ("?a.png", "it names no host"),
        ("user@/a.png", "it names no host"),
        ("[bad", "a square bracket is missing"),
        ("::1]/a.png", "a square bracket is missing"),
        ("[bad]/a.png", "square brackets are for IPv6 addresses"),
        ("a:b/", "the port is not a number from 0 to 65535"),
        ("a:65536/", "the port is not a number from 0 to 65535"),
        ("a..b/", "'a..b' cannot be the name of a host"),
        (".", "'.' cannot be the name of a host"),
        (f"{'a' * 64}.org/", f"'{'a' * 64}.org' cannot be the name of a host"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https", "ftp"])
def test_not_valid(scheme, address, reason):
    with pytest.raises(ImageError) as error:
        check_address(f"{scheme}://{address}")
    assert str(error.value) == f"not a valid address ({reason})"

"""What Schemathesis is told beside its configuration."""

import itertools

import schemathesis

ADDRESSES = itertools.count(1)


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Every request comes from an address of its own, so that limits per address hide nothing of the API.

    Made-up headers that say how the message is framed are left out: what breaks the framing gets a bare 400 and no
    document speaks of it. Other tests send such things.
    """
    for name in ("Transfer-Encoding", "Content-Length", "Connection", "Upgrade", "Expect", "TE", "Trailer"):
        case.headers.pop(name, None)
    number = next(ADDRESSES)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@schemathesis.check
def every_error_is_a_problem(ctx, response, case):
    """An error of any kind is a problem document that says the same as its status line."""
    if response.status_code < 400 or case.path == "/readyz" or case.method == "HEAD":
        return
    if response.status_code in (400, 414, 431) and "x-request-id" not in response.headers:
        # The head was refused before any of it was understood; the page about the limits says so.
        assert not response.content
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    problem = response.json()
    assert problem["status"] == response.status_code
    assert [problem["request_id"]] == response.headers["x-request-id"]
    assert problem["code"] and problem["title"] and problem["hint"]
    if response.status_code in (429, 503):
        assert response.headers["retry-after"]
    if response.status_code == 401:
        assert response.headers["www-authenticate"] == ["Bearer"]
    if response.status_code == 405:
        assert response.headers["allow"]


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    """Lines are text; what is generated for them is sent as it is."""
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", errors="surrogatepass")

"""What stands before every route: host, origin, session, size, number of calls; and the headers behind it."""

import pytest
from multidict import CIMultiDict

from tests.web.cells import filled
from tests.web.conftest import YOU
from tests.web.expected import named
from web.call import Body, Bucket, Refused
from web.guard import PAGE_POLICY, Addresses, Buckets, peer_address

JSON = {"Content-Type": "application/json"}
ADDRESSES = Addresses(8080, "https://studio.example.org")


def address_of(route, job="abcd2345efgh") -> str:
    return filled(route, {**named(job, "a" * 64, job), "action": "subtle"})


def sent(route):
    if route.body is Body.FORM:
        return {"data": {"prompt": "a red house"}}
    return {"json": {}} if route.body is Body.JSON else {}


async def test_a_page_of_another_site_can_change_nothing(site) -> None:
    before = (await site.you.get("/api/jobs")).data
    changing = [route for route in site.web.routes if route.method != "GET"]
    assert len(changing) > 15
    other = site.web.url.replace("127.0.0.1", "127.0.0.2")
    for route in changing:
        for origin in (None, "null", "http://evil.example", other, site.web.url + "0"):
            headers = {"Origin": origin}
            answer = await site.you.ask(route.method, address_of(route), headers, **sent(route))
            assert answer.status == 403, (route, origin)
    crossing = {"Sec-Fetch-Site": "cross-site"}
    assert (await site.you.post("/api/jobs", {"prompt": "a house"}, headers=crossing)).status == 403
    assert (await site.you.get("/api/jobs")).data == before


async def test_another_name_for_this_machine_reads_nothing(site) -> None:
    for route in site.web.routes:
        if route.method == "GET":
            answer = await site.you.get(address_of(route), headers={"Host": "evil.example"})
            assert answer.status == 421, route


async def test_a_stranger_gets_nothing_but_the_way_in(site) -> None:
    for route in site.web.routes:
        answer = await site.stranger().ask(route.method, address_of(route), **sent(route))
        if route.everybody:
            assert answer.status in (200, 303, 400, 404), route
        elif route.is_page and route.method == "GET":
            way = f"/in?next={address_of(route)}".removesuffix("?next=/")
            assert (answer.status, answer.headers["Location"]) == (303, way), route
        else:
            assert answer.status == 401, route


async def test_every_answer_has_the_headers_that_keep_it_in_its_place(site) -> None:
    job = await site.drawn(site.you)
    for route in site.web.routes:
        if route.method != "GET":
            continue
        answer = await site.you.get(address_of(route, job["id"]))
        assert answer.headers["X-Content-Type-Options"] == "nosniff", route
        policy = answer.headers["Content-Security-Policy"]
        html = answer.headers.get("Content-Type", "").startswith("text/html")
        assert policy == (PAGE_POLICY if html else "default-src 'none'; sandbox"), route
        cached = answer.headers["Cache-Control"]
        own = route.path.startswith("/files/") and answer.status == 200
        assert cached == ("private, max-age=31536000, immutable" if own else "private, no-store"), route


async def test_pages_hold_no_script_and_no_style_of_their_own(site) -> None:
    job = await site.drawn(site.you, 'a house <script>alert(1)</script> "quoted"')
    pages = {route.path for route in site.web.routes if route.is_page and "{" not in route.path}
    for path in (*sorted(pages - {"/in/discord", "/in/discord/back"}), f"/pictures/{job['id']}/1", "/none"):
        text = (await site.you.get(path)).body.decode()
        assert "<script>" not in text and " style=" not in text and "onclick" not in text, path
        for piece in text.split("<script")[1:]:
            head = piece.partition(">")[0]
            assert "src=" in head or 'type="application/json"' in head, path
        assert "http://" not in text.replace(site.web.url, "").replace("http://www.w3.org", ""), path


async def test_bodies_that_are_too_large_or_of_another_kind_are_refused(site) -> None:
    large = "x" * 70_000
    assert (await site.you.post("/api/jobs", {"prompt": large})).status == 413
    wrong = await site.you.ask("POST", "/api/jobs", data="{}", headers={"Content-Type": "text/plain"})
    assert wrong.status == 415
    for text in ("{", "[]", "7", '"a"', "[" * 5000):
        answer = await site.you.ask("POST", "/api/jobs", JSON, data=text)
        assert answer.status == 400, text[:10]


async def test_half_of_a_surrogate_pair_is_refused_wherever_it_stands(site) -> None:
    paths = {route.path for route in site.web.routes if route.body is Body.JSON and "{" not in route.path}
    for path in sorted(paths - {"/api/session"}):
        [method] = [r.method for r in site.web.routes if r.path == path and r.body is Body.JSON][:1]
        for text in (r'{"\ud800": 1}', r'{"document": {"a": [{"\uDFFF": 1}]}}', r'{"token": "\ud83d"}'):
            answer = await site.you.ask(method, path, JSON, data=text)
            assert answer.status in (400, 429), (path, text, answer.body)
    whole = await site.you.ask("POST", "/api/folders", JSON, data=r'{"name": "\ud83d\ude00"}')
    assert whole.status == 201 and whole.data["name"] == "😀"


def test_buckets_let_so_many_through_and_forget() -> None:
    now = [0.0]
    buckets = Buckets(lambda: now[0])
    for _ in range(Bucket.ASK.value):
        buckets.take(Bucket.ASK, "you")
    buckets.take(Bucket.ASK, "other")
    with pytest.raises(Refused) as refused:
        buckets.take(Bucket.ASK, "you")
    assert refused.value.status == 429 and refused.value.retry_after == 60 / Bucket.ASK.value
    now[0] = 60 / Bucket.ASK.value
    buckets.take(Bucket.ASK, "you")
    for number in range(25_000):
        buckets.take(Bucket.READ, str(number))
    now[0] = 120.0
    for bucket in Bucket:
        buckets.take(bucket, "you")
    assert len(buckets) == len(Bucket)


@pytest.mark.parametrize(
    ("remote", "forwarded", "found"),
    [
        ("127.0.0.1", "9.9.9.9, 8.8.8.8", "8.8.8.8"),
        ("7.7.7.7", "9.9.9.9", "7.7.7.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        (None, "9.9.9.9", ""),
    ],
)
def test_only_a_proxy_of_ours_says_where_a_call_comes_from(remote, forwarded, found) -> None:
    assert peer_address(remote, forwarded, ("127.0.0.1",)) == found


async def test_a_proxy_that_adds_a_line_of_its_own_is_believed_before_the_visitor(site) -> None:
    answers = []
    for number in range(Bucket.SIGN_IN.value + 1):
        lines = [("X-Forwarded-For", f"6.6.6.{number}"), ("X-Forwarded-For", "203.0.113.9")]
        headers = CIMultiDict([*lines, ("Origin", site.web.url)])
        path = site.web.url + "/api/sign-in/look"
        async with site.http.post(path, json={"token": "spent"}, headers=headers) as answer:
            answers.append(answer.status)
    assert answers == [404] * Bucket.SIGN_IN.value + [429]


async def test_a_head_answers_as_a_get_without_its_body(site) -> None:
    job = await site.drawn(site.you)
    for path in ("/pictures", "/api/jobs", f"/files/{job['id']}/1", "/static/x/js/stream.js"):
        head, get = await site.you.ask("HEAD", path), await site.you.get(path)
        assert (head.status, head.body) == (200, b"") and get.body, path
        assert head.headers["Content-Type"] == get.headers["Content-Type"], path
    assert (await site.stranger().ask("HEAD", "/pictures")).headers["Location"] == "/in?next=/pictures"
    assert (await site.stranger().ask("HEAD", "/in")).status == 200
    assert (await site.you.ask("HEAD", f"/api/zip?job={job['id']}")).status == 405, "it would be packed"


async def test_a_method_that_an_address_does_not_take_is_told_which_it_does(site) -> None:
    refused = await site.you.ask("PUT", "/api/jobs")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert "PUT" in refused.data["detail"]
    page = await site.stranger().ask("DELETE", "/in")
    assert (page.status, page.headers["Allow"]) == (405, "GET, HEAD") and b"<html" in page.body
    assert (await site.you.ask("POST", "/none")).status == 404


async def test_an_unexpected_error_is_logged_by_its_address(site, monkeypatch, caplog) -> None:
    async def fails(*given: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(site.opened.studio.gallery, "months", fails)
    assert (await site.you.get("/api/months")).status == 500
    [record] = [one for one in caplog.records if one.name == "web.app"]
    assert record.getMessage() == "an unexpected error at GET /api/months"


def test_hosts_and_origins_of_ours() -> None:
    assert "studio.example.org" in ADDRESSES.hosts and "localhost:8080" in ADDRESSES.hosts
    assert "https://studio.example.org" in ADDRESSES.origins
    assert "http://studio.example.org" not in ADDRESSES.origins
    assert ADDRESSES.secure and not Addresses(8080).secure


async def test_too_many_prompts_are_told_how_long_to_wait(site) -> None:
    browser = await site.person(YOU + 50)
    for _ in range(Bucket.ASK.value):
        await browser.post("/api/jobs", {"prompt": ""})
    answer = await browser.post("/api/jobs", {"prompt": ""})
    assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0

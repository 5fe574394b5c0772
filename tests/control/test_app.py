import pytest


async def test_the_openapi_document_has_every_endpoint_once(http):
    document = (await http.get("/openapi.json")).json()

    operations = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert operations == {
        "GET /rules", "POST /rules", "GET /rules/{name}", "PUT /rules/{name}", "PATCH /rules/{name}",
        "DELETE /rules/{name}", "POST /reset", "GET /status", "GET /sites", "GET /events", "GET /events/stream",
        "GET /history", "GET /metrics", "GET /barriers", "POST /barriers/{name}/release", "POST /crash",
        "POST /disconnect-nas", "GET /leftovers", "GET /toxiproxy/version", "POST /toxiproxy/reset",
        "POST /toxiproxy/populate", "GET /toxiproxy/proxies", "POST /toxiproxy/proxies",
        "GET /toxiproxy/proxies/{proxy}", "PATCH /toxiproxy/proxies/{proxy}", "DELETE /toxiproxy/proxies/{proxy}",
        "GET /toxiproxy/proxies/{proxy}/toxics", "POST /toxiproxy/proxies/{proxy}/toxics",
        "GET /toxiproxy/proxies/{proxy}/toxics/{toxic}", "PATCH /toxiproxy/proxies/{proxy}/toxics/{toxic}",
        "DELETE /toxiproxy/proxies/{proxy}/toxics/{toxic}",
    }  # fmt: skip
    identifiers = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(set(identifiers)) == len(identifiers)
    assert all(each["description"] for methods in document["paths"].values() for each in methods.values())


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_the_page_needs_nothing_from_elsewhere(http, path):
    answer = await http.get(path)

    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "<script" not in answer.text
    assert "//" not in answer.text.replace("<!doctype", "")
    assert "/barriers/{name}/release" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND"])
async def test_what_is_not_there_is_a_json_error(http, method):
    answer = await http.request(method, "/no/such/thing")

    assert answer.status_code == 404
    assert answer.json() == {
        "error": "there is nothing at /no/such/thing; GET /docs lists what there is",
        "status": 404,
    }


async def test_a_method_that_is_not_for_it_is_one_too(http):
    answer = await http.put("/reset")

    assert (answer.status_code, answer.json()["error"]) == (405, "PUT is not for /reset")
    assert answer.headers["allow"] == "POST"


async def test_answers_are_not_kept_by_anybody(http):
    answer = await http.get("/status")

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"

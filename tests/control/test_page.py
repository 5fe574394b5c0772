from csisim.control.page import page


def test_what_the_document_says_is_escaped():
    document = {
        "info": {"title": "<b>", "description": "a & b"},
        "paths": {
            "/<x>": {
                "get": {
                    "tags": ["t"],
                    "description": "<script>alert(1)</script>",
                    "parameters": [{"name": "<p>", "in": "query"}],
                    "requestBody": {"content": {"application/json": {"schema": {"anyOf": [{"$ref": "#/a/Shape"}]}}}},
                }
            }
        },
    }

    text = page(document)

    assert "<script" not in text
    assert "<x>" not in text
    assert "<p>" not in text.replace("<p>The same", "").replace("<p>a &amp; b", "")
    assert "takes Shape" in text

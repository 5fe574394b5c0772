"""Manifests: the shipped ones, and ones that are wrong."""

from pathlib import Path

import pytest

from csisim.co.manifests import MAX_BYTES, ManifestError, load, parse, read, without_secrets
from csisim.co.objects import PersistentVolumeClaim, Pod

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "manifests"
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""


def test_the_examples_are_read_in_the_order_in_which_they_can_be_applied():
    found = load([EXAMPLES])
    kinds = list(dict.fromkeys(each.kind for each in found.objects))
    assert kinds == [
        "StorageClass", "VolumeAttributesClass", "VolumeSnapshotClass", "PersistentVolumeClaim", "VolumeSnapshot",
        "StatefulSet", "Pod",
    ]  # fmt: skip
    assert [[each.ref for each in change] for change in found.changes] == [["PersistentVolumeClaim default/shared"]]
    assert found.warnings == ()


def test_deployment_examples_are_read_too():
    found = load([EXAMPLES.parent.parent / "deploy" / "examples"])
    assert [each.ref for each in found.objects] == [
        "PersistentVolumeClaim default/csisim-example",
        "PersistentVolumeClaim default/csisim-example-restored",
        "VolumeSnapshot default/csisim-example",
        "Pod default/csisim-example",
    ]


def test_kinds_that_are_not_modelled_are_named_and_left_out():
    found = parse(f"apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\n---{CLAIM}---\n", "x.yaml")
    assert [type(each) for each in found.objects] == [PersistentVolumeClaim]
    assert found.warnings == (
        "x.yaml, document 1: Service (v1) is left out: it says nothing about volumes that is modelled here",
    )


def test_lists_are_opened():
    found = parse("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {}}\n")
    assert found.objects == (Pod(name="p", namespace="default"),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "x.yaml: is not YAML: .* line 1"),
        ("just text", "x.yaml, document 1: is no mapping, so not a Kubernetes object"),
        ("kind: Pod", "x.yaml, document 1: apiVersion: is required"),
        ("apiVersion: v1\nkind: 7", "x.yaml, document 1: kind: 7 is not a text"),
        ("apiVersion: v1\nkind: StatefulSet", "apiVersion: 'v1' has no StatefulSet; use apps/v1"),
        (f"{CLAIM}---{CLAIM}", "document 2: PersistentVolumeClaim default/a is in x.yaml, document 1 already"),
        ("a: &x [1]\nb: *x", "aliases are not allowed here"),
        ("a: 1\na: 2", "key 'a' is there twice"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("[" * 200 + "]" * 200, "nested more than 60 deep"),
        ("a: " + "x" * MAX_BYTES, "more than 1048576 bytes"),
        ("--- a\n" * 1001, "more than 1000 documents|no mapping"),
        ("apiVersion: v1\nkind: List\nitems: [7]", r"items\[0\]: 7 is not a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, problem):
    with pytest.raises(ManifestError, match=problem):
        parse(text, "x.yaml")


def test_values_are_counted_while_they_are_read(monkeypatch):
    monkeypatch.setattr("csisim.co.manifests._MAX_NODES", 100)
    with pytest.raises(ManifestError, match="more than 100 values"):
        parse("- 1\n" * 150)


def test_the_same_object_in_a_later_text_is_a_change():
    found = read([("a", CLAIM), ("b", CLAIM.replace("1Gi", "2Gi")), ("c", CLAIM.replace("1Gi", "3Gi"))])
    assert [each.storage >> 30 for each in found.objects] == [1]
    assert [[each.storage >> 30 for each in change] for change in found.changes] == [[2], [3]]


@pytest.mark.parametrize(
    ("later", "problem"),
    [
        (
            ("1Gi", "1023Mi"),
            "requests.storage is 1072693248 bytes, and 1073741824 in a.yaml, document 1: a volume does",
        ),
        (
            ("ReadWriteOnce", "ReadWriteMany"),
            "accessModes is another one than in a.yaml, document 1, and may not change",
        ),
        (("spec:", "spec:\n  storageClassName: slow"), "storageClassName is another one than in a.yaml, document 1"),
    ],
)
def test_a_change_that_an_api_server_would_refuse_names_both_places(later, problem):
    claim = CLAIM.replace("spec:", "spec:\n  storageClassName: fast") if "slow" in later[1] else CLAIM
    changed = CLAIM.replace(*later)
    with pytest.raises(ManifestError, match=f"b.yaml, document 2: PersistentVolumeClaim default/a: {problem}"):
        read([("a.yaml", claim), ("b.yaml", f"---\n---{changed}")])
    read([("a.yaml", changed)])


def test_a_claim_grows_step_by_step_and_never_shrinks():
    first, second, third = (
        (name, CLAIM.replace("1Gi", size)) for name, size in (("a", "1Gi"), ("b", "3Gi"), ("c", "2Gi"))
    )
    assert len(read([first, third, second]).changes) == 2
    with pytest.raises(ManifestError, match=r"c, document 1: .* in b, document 1"):
        read([first, second, third])


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ManifestError, match=r"no\.yaml: cannot be read: No such file"):
        load([tmp_path / "no.yaml"])
    with pytest.raises(ManifestError, match=r"has no \*\.yaml and no \*\.yml file"):
        load([tmp_path])
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match=r"bytes\.yaml: is not UTF-8 text"):
        load([tmp_path / "bytes.yaml"])
    (tmp_path / "big.yml").write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ManifestError, match=r"big\.yml: more than"):
        load([tmp_path / "big.yml"])


SECRETS = """
apiVersion: v1
kind: Secret
metadata: {name: one, annotations: {last-applied: canary-4711}}  # canary-4711
data: {user: Y2FuYXJ5LTQ3MTE=}
stringData: {password: canary-4711, peer: canary-4712}
"""


def test_stand_ins_take_the_place_of_secrets_and_equal_ones_stay_equal():
    listed = "kind: List\napiVersion: v1\nitems:\n- " + "\n  ".join(SECRETS.strip().splitlines())
    shown = without_secrets(f"{CLAIM}\n---\n{listed}", "x.yaml")
    assert "canary" not in shown
    assert "Y2FuYXJ5" not in shown
    claim, secret = (parse(shown).objects[place] for place in (1, 0))
    assert claim == parse(CLAIM).objects[0]
    assert secret.data == {"user": "stand-in-0001", "password": "stand-in-0001", "peer": "stand-in-0002"}


def test_a_text_without_secrets_stays_as_it_is():
    for text in (f"# a comment\n{CLAIM}", "", "kind: List\napiVersion: v1\nitems:\n"):
        assert without_secrets(text) == text


def test_an_error_shows_no_line_of_a_secret():
    with pytest.raises(ManifestError, match=r"is not YAML: .* at line \d, column \d+") as refused:
        parse(SECRETS.replace("peer: canary-4712}", "peer: 'canary-4712}"))
    assert "canary" not in str(refused.value)

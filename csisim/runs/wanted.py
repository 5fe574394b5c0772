"""What the manifests of a plan want."""

from collections.abc import Sequence

from csisim.co.fields import ManifestError
from csisim.co.manifest_kinds import DEFAULT_CLASS
from csisim.co.manifests import Manifests, read
from csisim.co.objects import Object, PersistentVolumeClaim, StatefulSet, StorageClass
from csisim.runs.plan import RunPlan


def wanted(plan: RunPlan, driver: str, names: Sequence[str] = ()) -> Manifests:
    """What they want first, and what changes afterwards.

    Args:
        plan: of an orchestrator's run.
        driver: the name of the driver that runs.
        names: what errors call each manifest, where they came from files.

    Raises:
        ManifestError: they are not what they should be, or a claim would wait for ever: for another driver, or for a
            class that is not there.
    """
    called = names or [f"manifest {number}" for number in range(1, len(plan.manifests) + 1)]
    found = read(zip(called, plan.manifests, strict=True))
    check_classes(found, driver)
    return found


def check_classes(found: Manifests, driver: str) -> None:
    """Whether every claim is for a class of this driver.

    Raises:
        ManifestError: one would wait for ever, for another driver or a class that is not there; or nothing is wanted.
    """
    if not found.objects:
        raise ManifestError("there is nothing in the manifests: no object is wanted")
    stages = zip((found.objects, *found.changes), found.places, strict=True)
    objects = [(each, f"{places[each.ref]}: {each.ref}") for stage, places in stages for each in stage]
    classes = [each for each, _ in objects if isinstance(each, StorageClass)]
    others = {each.name: each.provisioner for each in classes}
    default = next((each.name for each in classes if each.is_default), "")
    for each, which in objects:
        for claim in _claims(each):
            if claim.storage_class_name and claim.storage_class_name not in others:
                raise ManifestError(
                    f"{which}: there is no StorageClass {claim.storage_class_name!r} in the manifests: the claim "
                    f"would wait for ever"
                )
            if not claim.storage_class_name and not default:
                raise ManifestError(
                    f"{which}: it names no StorageClass, and none of those in the manifests is the default one "
                    f"({DEFAULT_CLASS}): the claim would wait for ever"
                )
            name = claim.storage_class_name or default
            if others[name] != driver:
                raise ManifestError(
                    f"{which}: its StorageClass {name!r} has the provisioner {others[name]!r}, "
                    f"and the driver that runs here is {driver!r}: the claim would wait for ever"
                )


def _claims(wanted: Object) -> tuple[PersistentVolumeClaim, ...]:
    if isinstance(wanted, PersistentVolumeClaim):
        return (wanted,)
    return wanted.volume_claim_templates if isinstance(wanted, StatefulSet) else ()

"""What the manifests of a plan want."""

from csisim.co.fields import ManifestError
from csisim.co.manifests import Manifests, read
from csisim.co.objects import Object, PersistentVolumeClaim, StatefulSet, StorageClass
from csisim.runs.plan import RunPlan


def wanted(plan: RunPlan, driver: str) -> Manifests:
    """What they want first, and what changes afterwards.

    Args:
        plan: of an orchestrator's run.
        driver: the name of the driver that runs.

    Raises:
        ManifestError: they are not what they should be, or a claim would wait for ever: for another driver, or for a
            class that is not there.
    """
    found = read((f"manifest {number}", text) for number, text in enumerate(plan.manifests, 1))
    objects = [each for stage in (found.objects, *found.changes) for each in stage]
    others = {each.name: each.provisioner for each in objects if isinstance(each, StorageClass)}
    for each in objects:
        for claim in _claims(each):
            if claim.storage_class_name and claim.storage_class_name not in others:
                raise ManifestError(
                    f"{each.ref}: there is no StorageClass {claim.storage_class_name!r} in the manifests: the claim "
                    f"would wait for ever"
                )
            provisioner = others.get(claim.storage_class_name, driver)
            if provisioner != driver:
                raise ManifestError(
                    f"{each.ref}: its StorageClass {claim.storage_class_name!r} has the provisioner {provisioner!r}, "
                    f"and the driver that runs here is {driver!r}: the claim would wait for ever"
                )
    return found


def _claims(wanted: Object) -> tuple[PersistentVolumeClaim, ...]:
    if isinstance(wanted, PersistentVolumeClaim):
        return (wanted,)
    return wanted.volume_claim_templates if isinstance(wanted, StatefulSet) else ()

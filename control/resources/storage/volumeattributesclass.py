"""VolumeAttributesClass: properties that a volume can be given. Walk step 4: what is mounted."""

from api.fielderrors import FieldError, Path, forbidden, required
from api.scheme import resource_of
from api.storage import VolumeAttributesClass
from control.resources.columns import AGE
from control.resources.storage.rules import parameter_errors, provisioner_errors
from control.resources.strategy import Column, Strategy


class VolumeAttributesClassStrategy(Strategy[VolumeAttributesClass]):
    """Volumes are changed by naming another class, never by changing one."""

    columns = (Column("DriverName", "string", lambda one, now: one.driver_name), AGE)

    def validate(self, obj: VolumeAttributesClass) -> list[FieldError]:
        path = Path("parameters")
        errors = [
            *provisioner_errors(Path("driverName"), obj.driver_name),
            *parameter_errors(path, obj.parameters),
        ]
        if not obj.parameters:
            errors.append(required(path, "must contain at least one key/value pair"))
        return errors

    def validate_update(
        self, new: VolumeAttributesClass, old: VolumeAttributesClass
    ) -> list[FieldError]:
        return [
            forbidden(Path(name), f"updates to {name} are forbidden.")
            for name, mine, theirs in (
                ("driverName", new.driver_name, old.driver_name),
                ("parameters", new.parameters, old.parameters),
            )
            if mine != theirs
        ]


STRATEGY = VolumeAttributesClassStrategy(resource_of(VolumeAttributesClass))

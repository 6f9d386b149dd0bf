"""Which registrations there are of what is served here."""

from __future__ import annotations

from dataclasses import replace

from api.apiextensions import CustomResourceDefinition
from api.apiregistration import APIService
from api.custom import Custom
from api.meta import ObjectMeta
from api.scheme import SERVED, Catalogue, resource_of
from control.controllers.lifecycle.apiservices import wanted
from control.resources import strategy_of


def test_each_group_and_version_has_one() -> None:
    found = wanted(Catalogue(SERVED))
    assert (found["v1."].group, found["v1."].version) == ("", "v1")
    assert (found["v1.apps"].group_priority_minimum, found["v1.apps"].version_priority) == (
        17800,
        15,
    )
    assert not [name for name in found if name.endswith("apiregistration.k8s.io")]
    assert len(found) == len(Catalogue(SERVED).group_versions()) - 1


def test_what_definitions_serve_comes_last() -> None:
    catalogue = Catalogue(SERVED)
    widgets = replace(
        resource_of(CustomResourceDefinition), group="example.com", version="v1alpha1", type=Custom
    )
    catalogue.replace([], [widgets])
    spec = wanted(catalogue)["v1alpha1.example.com"]
    assert (spec.group_priority_minimum, spec.version_priority) == (1000, 100)
    catalogue.replace([widgets], [])
    assert "v1alpha1.example.com" not in wanted(catalogue)


def test_they_are_sound() -> None:
    strategy = strategy_of(resource_of(APIService))
    for name, spec in wanted(Catalogue(SERVED)).items():
        obj = APIService(metadata=ObjectMeta(name=name), spec=spec)
        assert not strategy.validate(obj)
        assert not strategy.validate_name(name, generated=False)

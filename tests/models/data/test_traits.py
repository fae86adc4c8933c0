"""Attributes of the procedural faces: they follow from person and expression, and differ between people."""

import numpy as np

from models.data.appearance import EXPRESSIONS, people
from models.data.procedural import ProceduralConfig, procedural_faces
from models.data.traits import ATTRIBUTES, visible_attributes


def test_traits_of_a_person_are_the_same_in_all_expressions_and_those_of_an_expression_in_all_people() -> None:
    cast = people(20, 0)
    identity, expression = (grid.ravel() for grid in np.meshgrid(np.arange(20), np.arange(7), indexing="ij"))
    found = visible_attributes(cast, identity, expression)
    assert tuple(found) == ATTRIBUTES
    for name, values in found.items():
        table = np.array(values).reshape(20, 7)
        constant = table if name in ("glasses", "stubble", "long_hair") else table.T
        assert (constant == constant[:, :1]).all(), name
        assert set(values) == {"0", "1"}, name


def test_attributes_say_what_is_drawn() -> None:
    cast = people(20, 0)
    everyone = np.arange(20)
    joy, neutral = (np.full(20, EXPRESSIONS.index(name)) for name in ("joy", "neutral"))
    smiling = visible_attributes(cast, everyone, joy)
    calm = visible_attributes(cast, everyone, neutral)
    assert set(smiling["smiling"]) == set(smiling["mouth_open"]) == {"1"}
    assert set(calm["smiling"]) == set(calm["mouth_open"]) == set(calm["frowning"]) == {"0"}
    assert [value == "1" for value in calm["glasses"]] == (cast.glasses > 0).tolist()


def test_procedural_faces_carry_their_attributes() -> None:
    faces = procedural_faces(ProceduralConfig(identities=4, images=28))
    assert set(faces.attributes) == set(ATTRIBUTES)
    surprised = faces.expression == EXPRESSIONS.index("surprise")
    assert {faces.attributes["eyes_wide"][row] for row in np.flatnonzero(surprised)} == {"1"}

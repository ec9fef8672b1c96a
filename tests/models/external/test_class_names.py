import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.data import ImageNetInfo

from rampart.errors import InvalidArgument, ModelError
from rampart.models.external.class_names import check_classes, imagenet_synsets, with_synonyms
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.external.loaded import Function, LoadedModel

NAMES = ("ape", "bear", "cat", "dog")


def named(names=NAMES, *others, number=None):
    """A model whose output i is the value of pixel i."""
    count = number or len(names)
    model = Function(lambda images: images.flatten(1)[:, :count])
    namings = (tuple(names), *others) if names else ()
    return LoadedModel(model, "zoo", "callable", None, (1, 1, count), count, namings)


def outputs(model, number=4):
    return model.model(torch.arange(float(number)).view(1, 1, 1, -1))[0].tolist()


def test_the_same_classes_in_the_same_order():
    model = named()
    for match in ("strict", "by_name", "by_position"):
        assert check_classes(model, ["Ape", "bear", "cat", "dog"], match).model is model.model


def test_another_order_is_refused_and_can_be_mapped():
    wanted = ["ape", "cat", "bear", "dog"]
    with pytest.raises(ModelError, match=r"output 1 is 'bear', .* is 'cat'.*match=by_name"):
        check_classes(named(), wanted)
    mapped = check_classes(named(), wanted, "by_name")
    assert outputs(mapped) == [0, 2, 1, 3]
    assert mapped.class_names == tuple(wanted)
    assert check_classes(mapped, wanted).model is mapped.model
    assert outputs(check_classes(named(), wanted, "by_position")) == [0, 1, 2, 3]


def test_some_of_the_model_s_classes():
    with pytest.raises(
        ModelError, match="4 outputs, but the data have 2 .*evaluation.match=by_name"
    ):
        check_classes(named(), ["dog", "bear"])
    selected = check_classes(named(), ["dog", "bear"], "by_name")
    assert outputs(selected) == [3, 1]
    assert selected.num_classes == 2


@given(st.permutations(range(6)), st.integers(2, 6))
def test_output_i_is_class_i(order, count):
    names = [f"c{i}" for i in range(6)]
    wanted = [names[i] for i in order[:count]]
    assert outputs(check_classes(named(names), wanted, "by_name"), 6) == order[:count]


def test_other_names_are_refused():
    with pytest.raises(
        ModelError, match=r"no class 'bea' \(the nearest is 'bear'; .* 1 .*by_position"
    ):
        check_classes(named(), ["ape", "bea", "cat", "dog"])
    with pytest.raises(ModelError, match=r"no class 'x' \(it begins with ape, bear, cat; .* 4 "):
        check_classes(named(), ["x", "y", "z", "w"], "by_name")
    assert check_classes(named(), ["x", "y", "z", "w"], "by_position").num_classes == 4


def test_a_name_of_two_classes_is_ambiguous():
    crane = named(["crane", "bear", "crane", "dog"])
    with pytest.raises(ModelError, match="two classes"):
        check_classes(crane, ["crane", "dog"], "by_name")
    with pytest.raises(ModelError, match="two classes"):
        check_classes(named(), ["dog", "Dog"], "by_name")
    assert outputs(check_classes(crane, ["dog", "bear"], "by_name")) == [3, 1]


def test_only_the_number_can_be_checked_without_names():
    model = named((), number=4)
    assert check_classes(model, NAMES).model is model.model
    with pytest.raises(ModelError, match="4 outputs, but the data have 3 classes"):
        check_classes(model, NAMES[:3])
    with pytest.raises(ModelError, match="match=by_position"):
        check_classes(model, NAMES, "by_name")


def test_spelling_does_not_matter():
    model = named(["great white shark", "tiger-cat"])
    assert check_classes(model, ["Great_White_Shark", "tiger_cat"]).model is model.model


def test_classes_that_differ_in_their_case_only():
    letters = ["A", "a", "b"]
    for match in ("strict", "by_name"):
        assert outputs(check_classes(named(letters), letters, match), 3) == [0, 1, 2]
    assert outputs(check_classes(named(letters), ["b", "a"], "by_name"), 3) == [2, 1]
    mixed = named(["A", "a", "great white"])
    assert outputs(check_classes(mixed, ["A", "a", "great_white"]), 3) == [0, 1, 2]
    for alike in (["B", "a", "A_"], ["a", "A", "B", "b"]):
        with pytest.raises(ModelError):
            check_classes(named(letters), alike, "by_name")


def test_an_unknown_way_of_matching_is_refused():
    with pytest.raises(InvalidArgument, match="match=name"):
        check_classes(named(), NAMES, "name")


def test_imagenet_has_synsets_and_words():
    info = ImageNetInfo("imagenet-1k")
    synsets = imagenet_synsets()
    full = [info.index_to_description(i) for i in range(1000)]
    for own in (synsets, full):
        model = named(own, *with_synonyms(own)[1:])
        for wanted in (["n01443537", "n02123045"], ["goldfish", "tabby"]):
            assert outputs(check_classes(model, wanted, "by_name"), 1000) == [1, 281]
    assert with_synonyms([str(i) for i in range(1000)]) == [tuple(str(i) for i in range(1000))]
    assert with_synonyms(["tench", "goldfish"]) == [("tench", "goldfish")]


def test_selecting_does_not_change_the_weights(network):
    model = LoadedModel(network, "n", "timm", None, (3, 8, 8), 4, (NAMES,))
    selected = check_classes(model, ["dog", "ape"], "by_name").model
    assert set(selected.state_dict()) == {f"model.{key}" for key in network.state_dict()}
    assert weights_fingerprint(selected.model) == weights_fingerprint(network)
    assert not selected.training

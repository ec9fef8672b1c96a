from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_model
from rampart.recipes.evaluation.naming import evaluation_name


def test_settings_that_change_results_change_the_name(tmp_path):
    lists = [tmp_path / "a" / "ids.txt", tmp_path / "b" / "ids.txt"]
    for number, path in enumerate(lists):
        path.parent.mkdir()
        path.write_text(f"{number}.png")
    changes = [
        *("threat.eps=3/255", "threat={norm: l2, eps: 1}", "evaluation.split=validation"),
        *("evaluation.attack=standard", "evaluation.attack=square", "evaluation.attack.steps=9"),
        *("evaluation.attack.loss=dlr", "evaluation.attack.restarts=2", "evaluation.mode=exact"),
        *("evaluation.limit=3", "evaluation.top_k=2", "evaluation.target=likely"),
        *("evaluation.resolution=2", "evaluation.match=by_name"),
        *("evaluation.strengths=[1/255, 4/255]", "evaluation.strengths=[2/255, 4/255]"),
        *(f"evaluation.ids={path}" for path in lists),
    ]
    needed = ["model=a", "data=b"]
    names = [evaluation_name(load_config(None, [*needed, change])) for change in changes]
    names.append(evaluation_name(load_config(None, needed)))
    assert len(set(names)) == len(changes) + 1
    assert all("/" not in name for name in names)
    assert names[-1] == "test-linf-4_255-apgd-10"
    free = ("evaluation.rerun=5", "evaluation.batch_size=3", "evaluation.checks=false")
    assert {evaluation_name(load_config(None, [*needed, one])) for one in free} == {names[-1]}


def test_more_precision_keeps_the_name():
    amounts = (("until=2%",), ("until=1%",), ("until=1%", "limit=500"))
    names = {
        evaluation_name(load_config(None, ["model=a", "data=b", *(f"evaluation.{o}" for o in one)]))
        for one in amounts
    }
    assert names == {"test-linf-4_255-apgd-10-until"}


def test_the_default_name_contains_model_data_and_settings(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, settings = network
    names = [
        evaluate_model("nets:network", (*settings, *more))[0]
        for more in ((), ("seed=1",), ("evaluation.limit=5",))
    ]
    assert all(name.parent.name == "evaluations" for name in names)
    assert all(name.name.startswith("nets_network-photos") for name in names)
    assert len(set(names)) == 3
